"""What works on a checkout, and is neither the product nor the embedded AWS: the set-up, the locks
of the dependencies, the command lines of Terraform and cdktf."""
