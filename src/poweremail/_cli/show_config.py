"""``poweremail config``."""

from __future__ import annotations

from poweremail._cli.options import connected
from poweremail._cli.session import Session

__all__ = ["config"]


@connected()
def config(session: Session) -> None:
    """
    Show where the settings file is, and which settings hold, each with its source.

    The token is shown as ***.
    """
    from poweremail._cli.config import NAMES  # noqa: PLC0415

    out = session.out
    settings = session.settings
    rows = [
        {"setting": name, "value": str(setting.value), "source": setting.source}
        for name in NAMES
        if (setting := settings.found.get(name))
    ]
    if out.as_json:
        out.json({"file": str(settings.path), "exists": settings.exists, "settings": rows})
        return
    out.say(f"settings file: {settings.path}{'' if settings.exists else ' (not there)'}")
    out.table(rows, ("setting", "value", "source"))
