"""Software of others: who somebody is (Keycloak), what is found (Typesense), what is counted (Metabase)."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components import addresses
from components.analytics import Analytics, AnalyticsArgs
from components.identity import Identity, IdentityArgs
from components.own_database import Setting
from components.reach import Surroundings
from components.realm import RealmArgs
from components.rotation import Rotator
from components.search import Search, SearchArgs
from stacks.by_hand import about
from stacks.compute import Compute
from stacks.data import Data
from stacks.foundation import Foundation
from stacks.settings import PlatformSettings

# Programs of every service's image, each run by a job.
ROLE, REALM, SEARCH, CONTENT = (
    ("python", "-m", f"services.setup.{program}") for program in ("database_role", "realm", "search", "analytics")
)
# Whose pods search, and fill the index.
SEARCHING = ({"app.kubernetes.io/name": "booking"},)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applications:
    identity: Identity
    search: Search
    analytics: Analytics


def build(settings: PlatformSettings, foundation: Foundation, compute: Compute, data: Data) -> Applications:
    """Each with its keys, which rotate, and with the job that brings it to its document."""
    subnets = addresses.plan(settings.network.cidr, len(settings.network.zones))
    setting = Setting(
        image=foundation.jobs_image,
        namespace=compute.namespace.name,
        cluster_name=compute.cluster.name,
        surroundings=Surroundings(data_cidrs=subnets.data, balancer_cidrs=subnets.intra),
    )
    made = Applications(
        identity=_identity(settings, foundation, compute, data, setting),
        search=_search(settings, foundation, compute, setting),
        analytics=_analytics(settings, foundation, compute, data, setting),
    )
    _rotate(foundation, made)
    return made


def _on_cluster(compute: Compute) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(
        providers={"kubernetes": compute.cluster.kubernetes},
        # ExternalSecrets come with the one, alarms count what the other tells.
        depends_on=[compute.secret_sync, compute.addons],
    )


def _identity(
    settings: PlatformSettings, foundation: Foundation, compute: Compute, data: Data, setting: Setting
) -> Identity:
    chosen, external = settings.applications.identity, foundation.secrets.external
    return Identity(
        "identity",
        IdentityArgs(
            image=chosen.image,
            replicas=chosen.replicas,
            cpu=chosen.cpu,
            memory=chosen.memory,
            url=chosen.url,
            pool=chosen.pool,
            realm=RealmArgs(web_origins=chosen.web_origins, app_links=chosen.app_links, mail_from=chosen.mail_from),
            database=data.own_databases["identity"],
            setting=setting,
            configure=chosen.configure,
            role_command=ROLE,
            realm_command=REALM,
            social=external("identity-social", about=about("identity-social")),
            mail=external("identity-mail", about=about("identity-mail")),
            authorities=foundation.database_authorities,
        ),
        secrets=foundation.secrets,
        context=foundation.context,
        opts=_on_cluster(compute),
    )


def _search(settings: PlatformSettings, foundation: Foundation, compute: Compute, setting: Setting) -> Search:
    chosen = settings.applications.search
    return Search(
        "search",
        SearchArgs(
            image=chosen.image,
            replicas=chosen.replicas,
            cpu=chosen.cpu,
            memory=chosen.memory,
            gib=chosen.disk_gib,
            storage_class=compute.addons.storage_class,
            callers=SEARCHING,
            setting=setting,
            configure=chosen.configure,
            command=SEARCH,
        ),
        secrets=foundation.secrets,
        context=foundation.context,
        opts=_on_cluster(compute),
    )


def _analytics(
    settings: PlatformSettings, foundation: Foundation, compute: Compute, data: Data, setting: Setting
) -> Analytics:
    chosen = settings.applications.analytics
    return Analytics(
        "analytics",
        AnalyticsArgs(
            image=chosen.image,
            replicas=chosen.replicas,
            cpu=chosen.cpu,
            memory=chosen.memory,
            url=chosen.url,
            pool=chosen.pool,
            database=data.own_databases["analytics"],
            readers={
                service: database.reader_secret
                for service, database in data.databases.items()
                if database.reader_secret
            },
            administrator_address=chosen.administrator,
            setting=setting,
            configure=chosen.configure,
            role_command=ROLE,
            content_command=CONTENT,
            authorities=foundation.database_authorities,
        ),
        secrets=foundation.secrets,
        context=foundation.context,
        opts=_on_cluster(compute),
    )


def _rotate(foundation: Foundation, made: Applications) -> None:
    """Every key that its holders can change by themselves; stacks/by_hand.py says why the others stay."""
    for name, secret in {
        "identity-administrator": made.identity.administrator,
        "search-administrator": made.search.administrator,
        **{f"search-{use}": key for use, key in made.search.keys.items()},
        "analytics-administrator": made.analytics.administrator,
        "analytics-embedding": made.analytics.embedding,
    }.items():
        foundation.rotation.schedule(name, secret, Rotator.KEY, after=[foundation.secrets])
