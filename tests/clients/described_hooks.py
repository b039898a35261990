# SPDX-License-Identifier: Apache-2.0
"""schemathesis' hooks: what it invents asks for few tokens, so that a run is about requests and not about answers."""
import schemathesis

FEW = 2


def few(body, name):
    value = body.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and value > FEW:
        body[name] = FEW


@schemathesis.hook
def before_call(context, case, kwargs):
    body = case.body
    if case.path.endswith("/operations/{number}") and isinstance(kwargs.get("params"), dict):
        kwargs["params"]["timeout"] = 0  # it would wait for an operation that nobody asks for
    if not isinstance(body, dict):
        return
    if case.path in ("/v1/chat/completions", "/v1/completions"):
        body.setdefault("max_tokens", 1)
    for name in ("n", "best_of"):
        few(body, name)
    if "best_of" in body:
        body["n"] = body["best_of"]
    if body.get("max_tokens") is None and case.path.startswith("/v1/c"):
        body["max_tokens"] = 1
    if body.get("max_completion_tokens", 1) is None:
        del body["max_completion_tokens"]
    if case.path.startswith("/api/"):
        options = body.get("options")
        if options is None:
            body["options"] = {"num_predict": FEW}
        elif isinstance(options, dict):
            few(options, "num_predict")
            options.setdefault("num_predict", FEW)


KNOWN = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


@schemathesis.hook
def filter_case(context, case):
    """Methods that the server does not know get 501, as HTTP has it: no fault."""
    return case.method.upper() in KNOWN
