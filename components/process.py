"""Services as processes of this machine, under a supervisor that restarts them and keeps their logs."""

from __future__ import annotations

import pulumi

from components.host import Host, HostArgs, Service, ServiceArgs, after, released
from providers.process import Process


class ProcessHost(Host):
    """Runs services as processes."""

    token = "groundwork:process:ProcessHost"  # noqa: S105 - a Pulumi type token, no credential

    def __init__(self, name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Choose this stack's folder below `.local`."""
        super().__init__(name, opts)
        self._key = args.fingerprint_key
        self.home = f".local/{pulumi.get_stack()}"
        self.logs = f"tail -f {self.home}/logs/*.log"
        self.finish(home=self.home)

    def run(self, name: str, args: ServiceArgs) -> Service:
        """Declare a process."""
        props = {
            "home": self.home,
            "program": name,
            "command": list(args.command),
            "directory": args.directory,
            "environment": {**args.environment, "SERVICE_VERSION": args.version},
            "secrets": dict(args.secrets),
            "fixed_port": args.port,
            "health_path": args.health_path,
            "version": args.version,
            "wipe_on_delete": list(args.wipe_on_delete),
        }
        process = Process(name, props, self.under())
        url = pulumi.Output.from_input(args.public_url) if args.public_url else process.url
        return Service(
            url=url,
            inside=process.url,
            version=process.version,
            release=after(released(args, self._key), process),
            way_back={},
            resource=process,
        )
