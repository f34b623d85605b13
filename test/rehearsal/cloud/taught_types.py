"""Resource types that moto's services know and its CloudFormation does not, as far as this rehearsal asks for them."""

from moto.apigateway import apigateway_backends
from moto.core.common_models import CloudFormationModel
from moto.ec2 import ec2_backends


class ApiKey(CloudFormationModel):
    """A key whose value the service makes: the registration of tenants reads it."""

    def __init__(self, key_id):
        self.physical_resource_id = key_id

    @staticmethod
    def cloudformation_name_type():
        return "Name"

    @staticmethod
    def cloudformation_type():
        return "AWS::ApiGateway::ApiKey"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name, cloudformation_json, account_id, region_name, **kwargs
    ):
        properties = cloudformation_json["Properties"]
        key = apigateway_backends[account_id][region_name].create_api_key(
            {
                "name": resource_name,
                "description": properties.get("Description"),
                "enabled": properties.get("Enabled", False),
            }
        )
        return cls(key.id)

    def delete(self, account_id, region_name):
        apigateway_backends[account_id][region_name].delete_api_key(
            self.physical_resource_id
        )


class SecurityGroupEgress(CloudFormationModel):
    """Half of who may reach whom: without it every group could reach everything."""

    def __init__(self, name):
        self.physical_resource_id = name

    @staticmethod
    def cloudformation_name_type():
        return ""

    @staticmethod
    def cloudformation_type():
        return "AWS::EC2::SecurityGroupEgress"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name, cloudformation_json, account_id, region_name, **kwargs
    ):
        rule = cloudformation_json["Properties"]
        ec2 = ec2_backends[account_id][region_name]
        allow_egress(ec2.get_security_group_by_name_or_id(rule["GroupId"]), rule)
        return cls(resource_name)

    def delete(self, account_id, region_name):
        """Leaves with its group."""


def allow_egress(group, rule):
    """Adds a rule. A new group may reach everything until its first rule of its own."""
    group.egress_rules[:] = [
        existing for existing in group.egress_rules if existing.ip_protocol != "-1"
    ]
    target = rule.get("DestinationSecurityGroupId")
    group.ec2_backend.authorize_security_group_egress(
        group.id,
        rule["IpProtocol"],
        rule.get("FromPort"),
        rule.get("ToPort"),
        ip_ranges=[{"CidrIp": rule["CidrIp"]}] if "CidrIp" in rule else [],
        source_groups=[{"GroupId": target}] if target else [],
    )
