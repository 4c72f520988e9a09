"""Checks what a hosted model does with text.

    check_text.py <address> <model>
"""
import sys

import numpy as np
from interventions import at, zero
from lab.model_host.v1.text_pb2 import DetokenizeRequest
from modelhost import Host

HOOK = "blocks.0.hook_resid_post"
PROMPT = "log('name')\nlog('"
SPAN = "name"

address, model = sys.argv[1:]
with Host(address, timeout=120) as host:
    host.load(model)

    clean = host.run(model, PROMPT, capture=[HOOK])
    assert clean.rows == [host.tokenize(model, PROMPT)], clean.rows
    row, begin = clean.started.rows[0], PROMPT.index(SPAN)
    spanned = [i for i, (start, end) in enumerate(zip(row.char_starts, row.char_ends)) if start < begin + len(SPAN) and end > begin]
    assert 0 < len(spanned) < len(row.ids), f"{spanned} of {len(row.ids)}"
    ablated = host.run(model, PROMPT, capture=[HOOK], interventions=[zero(at(HOOK, texts=[SPAN]))])
    expected = clean[HOOK].copy()
    expected[0, spanned] = 0
    np.testing.assert_array_equal(ablated[HOOK], expected)
    print(f"selectors: tokens {spanned}")

    both = host.run(model, [PROMPT, "open("], capture=[HOOK], padding="left")
    np.testing.assert_allclose(both[HOOK][0], clean[HOOK][0], rtol=1e-5, atol=1e-5)
    print(f"batches: {[len(ids) for ids in both.rows]} tokens")

    tokens = [token for token, _ in host.generate(model, PROMPT, max_new_tokens=8, interventions=[zero(at(HOOK, texts=[SPAN]))])]
    text = "".join(token.text for token in tokens)
    assert text == host.stub.Detokenize(DetokenizeRequest(model=model, ids=[token.id for token in tokens])).text, repr(text)
    print(f"generation: {text!r}")
