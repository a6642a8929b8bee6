"""The models that are called through functions: their short text, and the names in it."""

from __future__ import annotations

from lambdas.core.called_models import CalledModel, CalledModels

FLAN = CalledModel("Flan")
FALCON = CalledModel("Falcon", "live", public=True, wake_minutes=10, wakes_per_token_an_hour=2)
OPT = CalledModel("Opt", wake_minutes=10, wakes_per_token_an_hour=2, extends=True)
MODELS = CalledModels(
    "demo-*-Endpoint", "demo-*-calls", {"flan": FLAN, "falcon": FALCON, "opt": OPT}
)


def test_models_come_back_from_the_shortest_text_which_is_the_same_for_the_same_models() -> None:
    text = str(MODELS)

    assert text == (
        '["demo-*-Endpoint","demo-*-calls",'
        '{"falcon":["Falcon","live",true,10,2],"flan":["Flan"],'
        '"opt":["Opt","",false,10,2,true]}]'
    )
    assert CalledModels.parse(text) == MODELS


def test_a_time_of_its_own_comes_back_too() -> None:
    slow = CalledModels("*", "*", {"slow": CalledModel("Slow", seconds=120)})
    assert str(slow) == '["*","*",{"slow":["Slow","",false,0,0,false,120]}]'
    assert CalledModels.parse(str(slow)) == slow


def test_names_are_made_of_the_entry_and_the_alias_of_its_function() -> None:
    assert MODELS.endpoint_name(FLAN) == "demo-Flan-Endpoint"
    assert MODELS.function_name(FLAN) == "demo-Flan-calls"
    assert MODELS.function_name(FALCON) == "demo-Falcon-calls:live"
