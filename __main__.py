"""Groundwork: one Supabase project, its schema, an agent and an app, proven healthy and kept busy by cron.

The order of an update is the order of the values below: who takes an output of another runs after it.
"""

from __future__ import annotations

from pulumi import ResourceOptions

from components import (
    configuration,
    database,
    host,
    operations,
    outputs,
    parity,
    placing,
    runtime,
    schedule,
    secret,
    supabase,
)
from settings import Settings

settings = Settings.load()

own = secret.Bundle("own-secrets", secret.BundleArgs(generated=settings.secrets.platform))
machine = placing.place(
    host.HostArgs(
        spec=settings.host,
        served={"app": settings.app, "agent": settings.agent},
        fingerprint_key=own.current("fingerprint_key"),
    )
)

project = supabase.Project(
    "supabase",
    supabase.ProjectArgs(
        name=settings.project_name,
        organization=settings.organization,
        spec=settings.supabase,
        database_password=own.current("database_password"),
    ),
    machine,
)
platform = configuration.Platform(
    "platform",
    configuration.PlatformArgs(spec=settings.supabase, fingerprint_key=own.current("fingerprint_key")),
    project,
)
point = operations.RestorePoint(
    "backup",
    operations.RestorePointArgs(spec=settings.backup, migrations=settings.migrations),
    project,
    ResourceOptions(depends_on=platform),
)
schema = database.Schema(
    "schema", settings.migrations, project, ResourceOptions(depends_on=[platform, point])
)
services = configuration.Services(
    "services",
    configuration.ServicesArgs(spec=settings.supabase, fingerprint_key=own.current("fingerprint_key")),
    project,
    ResourceOptions(depends_on=schema),
)
secrets = secret.Bundle(
    "secrets",
    secret.BundleArgs(
        generated=settings.secrets.generated,
        given=settings.secrets.given,
        retire_after=settings.secrets.retire_after,
    ),
    project,
    ResourceOptions(depends_on=schema),
)
logins = database.Logins(
    "logins",
    database.LoginsArgs(roles=("app", "agent"), secrets=secrets, schema=schema.version),
    project,
)
product = database.Product(
    "product", database.ProductArgs(demo_accounts=settings.app.demo_accounts, schema=schema.version), project
)

agent = runtime.Agent(
    "agent",
    runtime.AgentArgs(
        spec=settings.agent,
        environment=settings.environment,
        database_url=logins.url("agent"),
        schema=schema.version,
        shared_secrets=secrets.accepted("agent_shared_secret"),
        ai_api_key=secrets.given("ai_api_key"),
        variables=settings.variables,
    ),
    machine,
)
app = runtime.App(
    "app",
    runtime.AppArgs(
        spec=settings.app,
        environment=settings.environment,
        demo_accounts=product.demo_accounts,
        database_url=logins.url("app"),
        schema=schema.version,
        agent_url=agent.inside,
        shared_secret=secrets.keyed("agent_shared_secret"),
        session_key=secrets.signing("session_key"),
        billing_webhook_secret=secrets.given_versions("billing_webhook_secret"),
        mail_api_key=secrets.given("mail_api_key"),
        supabase_url=project.url,
        supabase_anon_key=project.anon_key,
        variables=settings.variables,
    ),
    machine,
)
gate = operations.Gate(
    "health",
    operations.GateArgs(
        spec=settings.health, schema=schema.version, secret_versions={**own.versions, **secrets.versions}
    ),
    app,
    agent,
)
contract = database.Contract(
    "contract",
    database.ContractArgs(
        spec=settings.migrations,
        schema=schema.version,
        healthy=gate.status,
        restore_point=point.is_wanted,
    ),
    project,
)
cron = schedule.Cron(
    "cron",
    schedule.CronArgs(
        calls=settings.cron,
        agent_url=gate.agent_url,
        shared_secret=secrets.current("agent_shared_secret"),
    ),
    project,
)
links = configuration.FunctionLinks(
    "function-links",
    configuration.FunctionLinksArgs(
        spec=settings.supabase,
        fingerprint_key=own.current("fingerprint_key"),
        secrets=secrets,
        api_keys=services.things.api_keys,
    ),
    project,
    ResourceOptions(depends_on=gate),
)
proof = parity.Parity(
    "parity",
    parity.ParityArgs(
        secrets=secrets,
        logins=logins,
        links=links,
        urls={"app": app.url, "agent": agent.url},
        releases={"app": app.release, "agent": agent.release},
    ),
    project,
    ResourceOptions(depends_on=[cron, links, contract]),
)

outputs.publish(
    {
        "environment": settings.environment,
        "supabase_url": project.url,
        "supabase_api_url": project.api_url,
        "supabase_ref": project.ref,
        "anon_key": project.anon_key,
        "database_url": project.database_url,
        "hostname_records": services.things.hostname_records,
        "app_url": app.url,
        "agent_url": agent.url,
        "migrations": contract.summary,
        "cron_jobs": cron.jobs,
        "secret_versions": {**own.versions, **secrets.versions},
        "health": gate.summary,
        "parity": proof.matrix,
        "logs": machine.logs,
    }
)
