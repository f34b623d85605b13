"""Something in the place of each resource whose type moto does not know."""

from moto.cloudformation import parsing
from moto.core.common_models import CloudFormationModel


class StandIn(CloudFormationModel):
    """Has an id and any attribute, and does nothing.

    With moto's own way, which is to create nothing, a Ref vanishes from its template and a GetAtt fails the deployment.
    """

    def __init__(self, name):
        self.physical_resource_id = name

    @staticmethod
    def cloudformation_name_type():
        return ""

    @staticmethod
    def cloudformation_type():
        return "Rehearsal::StandIn"

    @classmethod
    def has_cfn_attr(cls, attr):
        return True

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name, cloudformation_json, account_id, region_name, **kwargs
    ):
        print("skipped:", kwargs["ResourceType"], flush=True)
        return cls(resource_name)

    def get_cfn_attribute(self, attribute_name):
        value = f"{self.physical_resource_id}.{attribute_name}"
        # Policies are held to the form of what they name.
        return f"arn:aws:rehearsal:::{value}" if attribute_name.endswith("Arn") else value

    def delete(self, account_id, region_name):
        pass


def for_unknown_types(class_from_type):
    def class_or_stand_in(resource_type):
        known = (
            resource_type.startswith("Custom::")
            or resource_type in parsing.get_model_map()
        )
        return class_from_type(resource_type) if known else StandIn

    return class_or_stand_in
