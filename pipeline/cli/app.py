"""The commands of `fieldtap`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from pipeline.cli.app_baseline import baseline
from pipeline.errors import ConfigError, FieldtapError

EXIT_ERROR = 2
"""Bad input, a bad setting or an output that cannot be written: one line on stderr says which."""

_PATH = click.Path(path_type=Path)
_SEVERITIES = ("informational", "low", "medium", "high", "critical")


class App(click.Group):
    """Turns errors into one line, and interrupts into their exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; see the module for exit codes."""
        try:
            return super().invoke(ctx)
        except FieldtapError as error:
            click.echo(f"fieldtap: {one_line(str(error))}", err=True)
            ctx.exit(EXIT_ERROR)
        except KeyboardInterrupt:
            click.echo("fieldtap: interrupted at once", err=True)
            ctx.exit(130)


def one_line(text: str) -> str:
    """`text` without line breaks and control characters: parts of it may come from the wire or from file names."""
    return "".join(c if c.isprintable() else " " for c in text)


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib.metadata import PackageNotFoundError, version

        try:
            click.echo(f"fieldtap {version('fieldtap')}")
        except PackageNotFoundError:
            click.echo("fieldtap (not installed)")
        ctx.exit()


@click.group(cls=App, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def app() -> None:
    """Watches industrial networks: captures become records with values, and findings, in Parquet.

    \b
    fieldtap learn clean.pcap --out baseline.parquet
    fieldtap run today/ --baseline baseline.parquet --out results
    fieldtap show results alerts

    Exit codes: 0 done (a capture that breaks off is a warning), 2 bad input or output, 130 interrupted.
    """


app.add_command(baseline)

_paths = click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=_PATH)
_config = click.option("--config", type=_PATH, help="Settings (TOML); see infra/config/fieldtap.toml.")
_site = click.option("--site", type=_PATH, help="Names of devices and tags (TOML).")
_folder = click.option("--out", required=True, type=_PATH, help="Folder of the results.")


@app.command()
@_paths
@_folder
@click.option("--baseline", type=_PATH, help="What is normal, as `fieldtap learn` wrote it.")
@_config
@_site
@click.option(
    "--points", type=click.Choice(["all", "changed", "none"]), help="Values to keep: all (default), changed, none."
)
@click.option(
    "--threads", type=click.IntRange(1, 2), help="1: all on one core; 2 (default): decode and Parquet beside."
)
def run(
    paths: tuple[Path, ...],
    out: Path,
    baseline: Path | None,
    config: Path | None,
    site: Path | None,
    points: str | None,
    threads: int | None,
) -> None:
    """Captures, or folders of them, to records, values, assets and findings in OUT.

    An earlier result in OUT is replaced once this one is complete.
    """
    from pipeline.cli import commands

    sys.exit(commands.run(paths, out, baseline, config, site, points=points, threads=threads))


@app.command()
@_paths
@_folder
@_config
@click.option("--points", type=click.Choice(["all", "changed", "none"]), help="Values to keep: all (default).")
@click.option(
    "--threads", type=click.IntRange(1, 2), help="1: all on one core; 2 (default): decode and Parquet beside."
)
def decode(paths: tuple[Path, ...], out: Path, config: Path | None, points: str | None, threads: int | None) -> None:
    """Captures to records and values in OUT, without judging them."""
    from pipeline.cli import commands

    sys.exit(commands.decode(paths, out, config, points=points, threads=threads))


@app.command()
@_paths
@click.option("--out", required=True, type=_PATH, help="The baseline, a Parquet file.")
@click.option("--before", type=_PATH, help="An earlier baseline: what was taught and approved in it stays so.")
@_config
@_site
def learn(paths: tuple[Path, ...], out: Path, before: Path | None, config: Path | None, site: Path | None) -> None:
    """Captures of clean traffic to a baseline: all that they show is normal from then on."""
    from pipeline.cli import commands

    sys.exit(commands.learn(paths, out, before, config, site))


_kafka = click.option("--kafka", "bootstrap", metavar="BOOTSTRAP", required=True, help="Brokers: host:port, … .")
_store = click.option("--store", required=True, help="Folder, or s3://, gs://, az:// address, of the ledger.")
_run_name = click.option("--run", "name", help="Name of the run; another one judges the log anew.")
_until_end = click.option("--until-end", is_flag=True, help="Stop when every shard's input is over.")


@app.command()
@_kafka
@_store
@click.option("--baseline", type=_PATH, help="What is normal, as `fieldtap learn` wrote it.")
@_config
@_site
@_run_name
@_until_end
def detect(
    bootstrap: str,
    store: str,
    baseline: Path | None,
    config: Path | None,
    site: Path | None,
    name: str | None,
    until_end: bool,
) -> None:
    """A worker: judges what the shards wrote to Kafka.  Start as many as you like.

    What was found lies in STORE below findings/, exactly once; the topic fieldtap.findings.live tells it sooner.
    """
    from pipeline.cli import workers

    sys.exit(workers.detect(bootstrap, store, baseline, config, site, name, until_end=until_end))


@app.command()
@_kafka
@_store
@_config
@_run_name
@_until_end
def archive(bootstrap: str, store: str, config: Path | None, name: str | None, until_end: bool) -> None:
    """Keeps what the shards wrote to Kafka: records, values and marks as Parquet in STORE, below archive/."""
    from pipeline.cli import workers

    sys.exit(workers.archive(bootstrap, store, config, name, until_end=until_end))


@app.command()
@click.argument("paths", metavar="SOURCE...", nargs=-1, required=True, type=_PATH)
@_kafka
@click.option("--spool", required=True, type=_PATH, help="Folder that keeps messages until Kafka has them.")
@_config
@click.option("--shard", type=click.IntRange(0, 65534), help="Number of the capture point (decode.shard).")
@click.option("--pace", is_flag=True, help="At the speed of the capture's own clock, not as fast as it goes.")
def capture(
    paths: tuple[Path, ...], bootstrap: str, spool: Path, config: Path | None, shard: int | None, pace: bool
) -> None:
    """Captures, or folders of them, to records in Kafka.

    What is read goes to disk first.  Ended in any way, the same command goes on where it was cut off.
    """
    from pipeline.cli import shards

    sys.exit(shards.capture(paths, bootstrap, spool, config, shard=shard, pace=pace))


@app.group()
def topics() -> None:
    """Make the topics in Kafka, or look whether they are as they must be."""


_kafka = click.option("--kafka", required=True, metavar="BOOTSTRAP", help="Brokers: host:port, with commas between.")
_topics = click.option("--topics", "file", type=_PATH, help="What differs from infra/topics.toml (TOML).")


@topics.command("apply")
@_kafka
@_config
@_topics
def topics_apply(kafka: str, config: Path | None, file: Path | None) -> None:
    """Make what is missing and bring settings in line; partitions are never changed."""
    from pipeline.cli import topics

    topics.apply(kafka, config, file)


@topics.command("check")
@_kafka
@_config
@_topics
def topics_check(kafka: str, config: Path | None, file: Path | None) -> None:
    """A table of the topics; exit code 2 when one is not as it must be."""
    from pipeline.cli import topics

    topics.check(kafka, config, file)


@topics.command("replay-parked")
@_kafka
@_config
def topics_replay_parked(kafka: str, config: Path | None) -> None:
    """Put messages that older workers put away as too new back into the log: see docs/operations.md, Change."""
    from pipeline.cli import topics

    topics.replay_parked(kafka, config)


@app.command()
@click.argument("folder", metavar="DIR", type=_PATH)
@click.argument(
    "what", type=click.Choice(["alerts", "records", "assets", "points", "health"]), default="alerts", required=False
)
@click.option("--severity", type=click.Choice(_SEVERITIES), help="This severity and above (alerts).")
@click.option("--detector", help="Such as value, or value.range (alerts).")
@click.option("--device", help="Address, name or id of a device, or a part of the name.")
@click.option("--client", help="Address or name of a client.")
@click.option("--protocol", help="Such as modbus.")
@click.option("--function", help="Number of a function, or a part of its name.")
@click.option("--since", help="From this time on: 2026-03-02T09:00 (UTC).")
@click.option("--until", help="Before this time.")
@click.option("--site", type=_PATH, help="Names of devices and tags (TOML).")
@click.option("--limit", type=click.IntRange(0), help="Rows at most (50), 0 for all.")
@click.option("--hints", is_flag=True, help="What may be behind each finding: attack, fault or misoperation (alerts).")
def show(folder: Path, what: str, site: Path | None, limit: int | None, *, hints: bool, **filters: str | None) -> None:
    """A readable look at results: alerts (default), records, assets, points or health."""
    from pipeline.show import Filters
    from pipeline.show import show as print_table

    print_table(folder, what, Filters(**filters), site=site, limit=limit, hints=hints)


@app.command()
@click.option("--out", required=True, type=_PATH, help="Folder for plant.pcap, site.toml and attacks.parquet.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=30, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same bytes.")
@click.option("--attacks", default="none", show_default=True, help="all, none, or names with commas between.")
@click.option("--scale", type=click.IntRange(1), default=1, show_default=True, help="Plants side by side.")
@click.option("--packets", type=click.IntRange(1), hidden=True, help="A benchmark capture of so many packets instead.")
@click.option("--registers", type=click.IntRange(1), default=10, hidden=True)
@click.option("--flows", type=click.IntRange(1), default=20, hidden=True)
def simulate(
    out: Path,
    minutes: float,
    seed: int,
    attacks: str,
    scale: int,
    packets: int | None,
    registers: int,
    flows: int,
) -> None:
    """A small water plant, its traffic and attacks on it, as a capture with ground truth."""
    from pipeline.cli import commands

    if packets is not None:
        commands.bulk(out, packets=packets, registers=registers, flows=flows, seed=seed)
        return
    names = tuple(name.strip() for name in attacks.split(",") if name.strip() not in ("", "none"))
    if len(names) > 1 and "all" in names:
        raise ConfigError("--attacks: 'all' stands alone")
    commands.simulate(out, minutes=minutes, seed=seed, attacks=names, scale=scale)


@app.command()
@click.argument("store")
@click.option("--run", help="Only the findings of this run.")
def compact(store: str, run: str | None) -> None:
    """Merge the small files of days that are over in STORE: a folder, s3://…, gs://… or az://…

    May run at any time, beside workers and readers, and be cut short.
    """
    from pipeline.cli import ledgers

    ledgers.compact(store, run)


@app.group()
def ledger() -> None:
    """Look after the ledger of a deployment."""


@ledger.command("teach")
@click.argument("store")
@click.argument("findings", metavar="ID...", nargs=-1, required=True)
@click.option("--run", required=True, help="Name of the run that found it.")
@_kafka
@_config
def ledger_teach(store: str, findings: tuple[str, ...], run: str, kafka: str, config: Path | None) -> None:
    """Tell the workers that findings are normal, by their ids: from now on they do not return.

    It is written into the log of records, for every run over it; a value that lies much further out is still told.
    """
    from pipeline.cli import ledgers

    ledgers.teach(store, run, findings, kafka, config)


@ledger.command("repair")
@click.argument("store")
@click.option("--run", required=True, help="Name of the run.")
@click.option("--topic-id", required=True, help="Kafka's id of the topic, as the alarm names it.")
@click.option("--partition", required=True, type=click.IntRange(0), help="Number of the partition.")
@click.option("--next", "stop", type=click.IntRange(1), help="Where the epoch ended, if nothing says so any more.")
@click.option("--kafka", "bootstrap", metavar="BOOTSTRAP", help="Brokers: host:port, … .")
@click.option("--baseline", type=_PATH, help="As the workers have it.")
@_config
@_site
def ledger_repair(
    store: str,
    run: str,
    topic_id: str,
    partition: int,
    stop: int | None,
    bootstrap: str | None,
    baseline: Path | None,
    config: Path | None,
    site: Path | None,
) -> None:
    """Compute the damaged last epoch of a partition anew, from the state before it and Kafka.

    Stop every worker that may have the partition first, and give the files that the workers have.
    """
    from pipeline.cli import ledgers
    from pipeline.ledger import Place

    judging = ledgers.Judging(bootstrap, baseline, config, site)
    ledgers.repair(store, Place(run, topic_id, partition), stop, judging)
