"""The regions and instance sizes that the contract names."""

from __future__ import annotations

from typing import Literal

RegionCode = Literal[
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ap-east-1",
    "ap-southeast-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-southeast-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-north-1",
    "eu-central-1",
    "eu-central-2",
    "ca-central-1",
    "ap-south-1",
    "sa-east-1",
]
GroupCode = Literal["americas", "emea", "apac"]
InstanceSize = Literal[
    "nano",
    "micro",
    "small",
    "medium",
    "large",
    "xlarge",
    "2xlarge",
    "4xlarge",
    "8xlarge",
    "12xlarge",
    "16xlarge",
    "24xlarge",
    "24xlarge_optimized_memory",
    "24xlarge_optimized_cpu",
    "24xlarge_high_memory",
    "48xlarge",
    "48xlarge_optimized_memory",
    "48xlarge_optimized_cpu",
    "48xlarge_high_memory",
]

NAMES: dict[RegionCode, str] = {
    "us-east-1": "East US (North Virginia)",
    "us-east-2": "East US (Ohio)",
    "us-west-1": "West US (North California)",
    "us-west-2": "West US (Oregon)",
    "ap-east-1": "East Asia (Hong Kong)",
    "ap-southeast-1": "Southeast Asia (Singapore)",
    "ap-northeast-1": "Northeast Asia (Tokyo)",
    "ap-northeast-2": "Northeast Asia (Seoul)",
    "ap-southeast-2": "Oceania (Sydney)",
    "eu-west-1": "West EU (Ireland)",
    "eu-west-2": "West Europe (London)",
    "eu-west-3": "West EU (Paris)",
    "eu-north-1": "North EU (Stockholm)",
    "eu-central-1": "Central EU (Frankfurt)",
    "eu-central-2": "Central Europe (Zurich)",
    "ca-central-1": "Canada (Central)",
    "ap-south-1": "South Asia (Mumbai)",
    "sa-east-1": "South America (São Paulo)",
}
GROUP_NAMES: dict[GroupCode, str] = {"americas": "Americas", "emea": "Europe", "apac": "Asia-Pacific"}
# Where a project of a smart group lands; the real service looks at its capacity.
GROUP_REGIONS: dict[GroupCode, RegionCode] = {
    "americas": "us-east-1",
    "emea": "eu-central-1",
    "apac": "ap-southeast-1",
}
DEFAULT_REGION: RegionCode = "us-east-1"
DEFAULT_SIZE: InstanceSize = "micro"
