"""One image of this repository, built on the engine of the host that runs it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from infra.content import content_of
from infra.naming import Naming
from infra.repository import REPOSITORY as REPOSITORY


@dataclass(frozen=True, kw_only=True)
class ServiceImageArgs:
    """`service` is a folder of images/; `build_args` are plain values, because the tag is made of them."""

    service: str
    naming: Naming
    architecture: str
    build_args: Mapping[str, str]


class ServiceImage(pulumi.ComponentResource):
    """`reference` is known in a preview already: the tag is the content, so only a changed service is rebuilt."""

    reference: str
    built: docker.Image

    def __init__(self, name: str, args: ServiceImageArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("comfyume:images:ServiceImage", name, None, opts)
        self.reference = args.naming.image(args.service, content_of(args.service, args.build_args, REPOSITORY))
        self.built = docker.Image(
            name,
            image_name=self.reference,
            build=docker.DockerBuildArgs(
                context=str(REPOSITORY),
                dockerfile=str(REPOSITORY / "images" / args.service / "Dockerfile"),
                args=dict(args.build_args),
                platform=f"linux/{args.architecture}",
            ),
            skip_push=True,
            # What a component is tied to is not handed down to its parts.
            opts=pulumi.ResourceOptions(
                parent=self,
                deleted_with=opts.deleted_with,
                replace_with=opts.replace_with,
            ),
        )
        self.register_outputs({"reference": self.reference})
