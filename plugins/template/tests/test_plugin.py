"""The hooks, called as the server calls them."""

import logging

import pytest
from pydantic import ValidationError

from roomful.plugin.manager import PluginManager
from roomful_template.config import TemplateConfig
from roomful_template.plugin import TemplatePlugin


async def test_hook_on_event(joined, caplog):
    caplog.set_level(logging.INFO, "roomful_template")
    plugins = PluginManager()
    plugins.register(TemplatePlugin(TemplateConfig(notable_at=2)), "template")
    plugins.finish()
    await plugins.startup(server=None)

    for sid in ("PA_1", "PA_2", "PA_3"):
        plugins.publish(joined(sid))
    await plugins.shutdown(server=None)

    (record,) = caplog.records
    assert record.present == 2
    assert "lobby" not in record.message


def test_unknown_setting_is_refused():
    with pytest.raises(ValidationError):
        TemplateConfig.model_validate({"notable": 2})
