"""Which model packages are sold on the AWS Marketplace.

The config names only an ARN, and synth asks nobody. So the account that publishes a package tells:
the Marketplace has one in each region.
"""

from __future__ import annotations

# As publishers list them, such as in the notebooks of
# https://github.com/aws/amazon-sagemaker-examples/tree/main/aws_marketplace
_PUBLISHING_ACCOUNTS = frozenset(
    {
        "057799348421",  # us-east-2
        "077584701553",  # ap-south-1
        "136758871317",  # eu-north-1
        "192199979996",  # ap-southeast-1
        "270155090741",  # sa-east-1
        "382657785993",  # us-west-1
        "446921602837",  # eu-central-1
        "470592106596",  # ca-central-1
        "594846645681",  # us-west-2
        "666831318237",  # ap-southeast-2
        "745090734665",  # ap-northeast-2
        "843114510376",  # eu-west-3
        "856760150666",  # eu-west-2
        "865070037744",  # us-east-1
        "977537786026",  # ap-northeast-1
        "985815980388",  # eu-west-1
    }
)


def is_of_marketplace(model_package_arn: str) -> bool:
    """Whether the package is sold there. An account of a region that is not listed counts as one's
    own; SageMaker refuses the endpoint then."""
    parts = model_package_arn.split(":")
    return len(parts) > 4 and parts[4] in _PUBLISHING_ACCOUNTS
