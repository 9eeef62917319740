"""Settings and models of pydantic, nested and wrong."""

import pydantic


class Inner(pydantic.BaseModel):
    when: pydantic.AwareDatetime | None = None
    many: list[int] = []


class Outer(pydantic.BaseModel):
    inner: Inner
    url: pydantic.HttpUrl


outer = Outer.model_validate_json('{"inner": {"many": ["1", 2]}, "url": "https://example.org/a"}')
assert outer.inner.many == [1, 2]
try:
    Outer.model_validate({"inner": 3, "url": "no"})
except pydantic.ValidationError as error:
    assert error.error_count() == 2
assert "properties" in Outer.model_json_schema()
