"""Tools for a checkout, apart from the product and the embedded AWS: the set-up, the dependency
locks, and the command lines of Terraform and cdktf."""
