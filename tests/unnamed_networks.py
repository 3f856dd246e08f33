"""Small networks as people write them: what the compiler is to import."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from tests.convolutions import Apply, settled
from tests.unnamed import ADJACENT, PAIRS, Shape, Tensor

torch.manual_seed(0)  # ranges are recorded on few examples: other weights may leave them


class UNet(nn.Module):
    """Down, up by a transposed convolution, and what was beside (Ronneberger et al. 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
        self.up, self.out = nn.ConvTranspose2d(4, 3, 2, stride=2), nn.Conv2d(6, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.one(x))
        b = F.relu(self.two(F.max_pool2d(a, 2)))
        made: Tensor = self.out(torch.cat([a, F.relu(self.up(b))], 1))
        return made


class Temporal(nn.Module):
    """Two dilated causal convolutions beside a residual connection (Bai et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(2, 4, 3, dilation=1), nn.Conv1d(4, 4, 3, dilation=2)
        self.beside, self.out = nn.Conv1d(2, 4, 1), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first(F.pad(x, (2, 0))))
        y = F.relu(self.second(F.pad(y, (4, 0)))) + self.beside(x)
        made: Tensor = self.out(F.relu(y)[:, :, -1])
        return made


class Squeeze(nn.Module):
    """Channels weighed by their averages (Hu et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.down, self.up = nn.Conv2d(2, 6, 3), nn.Linear(6, 3), nn.Linear(3, 6)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        share = torch.sigmoid(self.up(F.relu(self.down(y.mean((2, 3))))))
        made: Tensor = y * share[:, :, None, None]
        return made


class Mixer(nn.Module):
    """A block of MLP-Mixer: tokens, then channels (Tolstikhin et al. 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(6), nn.LayerNorm(6)])
        self.tokens = nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 4))
        self.channels = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 6))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.norms[0](x).transpose(1, 2)).transpose(1, 2)
        made: Tensor = x + self.channels(self.norms[1](x))
        return made


class ConvNext(nn.Module):
    """A block of ConvNeXt: depthwise, a norm of channels, an inverted bottleneck (Liu et al.
    2022)."""

    def __init__(self) -> None:
        super().__init__()
        self.deep, self.norm = nn.Conv2d(4, 4, 5, padding=2, groups=4), nn.LayerNorm(4)
        self.up, self.down = nn.Linear(4, 8), nn.Linear(8, 4)
        self.gamma = nn.Parameter(torch.rand(4))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.deep(x).permute(0, 2, 3, 1))
        y = self.gamma * self.down(F.gelu(self.up(y)))
        return x + y.permute(0, 3, 1, 2)


class Alibi(nn.Module):
    """Causal attention with slopes for distances (Press et al. 2022)."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(6, 18), nn.Linear(6, 6)
        at = torch.arange(5)
        slopes = torch.tensor([0.5, 0.25])[:, None, None]
        mask = torch.full((5, 5), -torch.inf).triu(1)
        self.register_buffer("bias", slopes * (at - at[:, None]).clamp(max=0) + mask)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (y.view(1, 5, 2, 3).transpose(1, 2) for y in self.qkv(x).chunk(3, -1))
        shares = (q @ k.mT / 3**0.5 + self.bias).softmax(-1)
        made: Tensor = self.out((shares @ v).transpose(1, 2).reshape(1, 5, 6))
        return made


class Inverted(nn.Module):
    """MobileNet's inverted residual (Sandler et al. 2018), batch norms as they begin."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 6, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU6(),
            nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False), nn.BatchNorm2d(6), nn.ReLU6(),
            nn.Conv2d(6, 3, 1, bias=False), nn.BatchNorm2d(3),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = x + self.layers(x)
        return made


class Highway(nn.Module):
    """t h + (1 - t) x (Srivastava et al. 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.ModuleList(nn.Linear(6, 6) for _ in range(2))
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for gate, layer in zip(self.gates, self.layers, strict=True):
            t = torch.sigmoid(gate(x))
            x = t * torch.tanh(layer(x)) + (1 - t) * x
        return x


class Siamese(nn.Module):
    """How far two halves of the input are from each other."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.tower(x[:, :6]), self.tower(x[:, 6:])
        return F.pairwise_distance(a, b + 1)


class Shifted(nn.Module):
    """Attention in shifted windows (Liu et al. 2021), of one dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(4, 12), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        windows = x.roll(-2, 1).view(2, 4, 4)
        q, k, v = self.qkv(windows).chunk(3, -1)
        y = F.scaled_dot_product_attention(q, k, v).reshape(1, 8, 4).roll(2, 1)
        made: Tensor = x + self.out(y)
        return made


class Graph(nn.Module):
    """Two layers over neighbours (Kipf and Welling 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.two(ADJACENT @ F.relu(self.one(ADJACENT @ x)))
        return made


class Linear(nn.Module):
    """Attention without softmax, its factors counted as they come (Katharopoulos et al. 2020)."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(4, 12)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        shares = (q @ k.mT).tril()
        return (shares @ v) / (shares.sum(-1, keepdim=True) + 0.1)


class Crossed(nn.Module):
    """Factors of features and of their pairs (Naumov et al. 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.tower, self.out = nn.Linear(3, 4), nn.Linear(10, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.tower(x)
        pairs = (y @ y.mT)[:, PAIRS[0], PAIRS[1]]
        made: Tensor = torch.sigmoid(self.out(torch.cat([y[:, 0], pairs], -1)))
        return made


def _gated_convolution() -> nn.Module:
    return nn.Sequential(nn.Conv1d(2, 8, 3, padding=1), nn.GLU(1), nn.Conv1d(4, 3, 3))


def _autoencoder() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.PReLU(3), nn.Conv2d(3, 4, 3, 2, 1), nn.ELU(),
        nn.ConvTranspose2d(4, 3, 3, 2, 1, 1), nn.LeakyReLU(), nn.ConvTranspose2d(3, 1, 4, 2, 1),
        nn.Sigmoid(),
    )  # fmt: skip


def _finer() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, padding_mode="reflect"), nn.Tanh(),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="replicate"), nn.PixelShuffle(2),
    )  # fmt: skip


def _standardised(x: Tensor, one: nn.Module, two: nn.Module) -> Tensor:
    """A norm written by hand, as many write it."""
    y = one(x)
    y = (y - y.mean(-1, keepdim=True)) / (y.std(-1, keepdim=True) + 1e-3)
    made: Tensor = two(y)
    return made


def _sharing(x: Tensor, one: nn.Module) -> Tensor:
    """A softmax written by hand."""
    y = one(x)
    y = (y - y.max(-1, keepdim=True).values).exp()
    return y / y.sum(-1, keepdim=True)


def _spectral(x: Tensor, one: nn.Module, two: nn.Module) -> Tensor:
    """Both directions of a recurrence beside each other."""
    made: Tensor = torch.cat([one(x)[0], two(x.flip(1))[0].flip(1)], -1)
    return made


class Latents(nn.Module):
    """Cross attention from a few vectors that were learned (Jaegle et al. 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(3, 8) / 2)
        self.q, self.kv = nn.Linear(8, 8, bias=False), nn.Linear(6, 16, bias=False)
        self.before, self.out = nn.LayerNorm(6), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        k, v = self.kv(self.before(x)).chunk(2, -1)
        every = self.q(self.latents).unsqueeze(0).expand(len(x), -1, -1), k, v
        q, k, v = (y.unflatten(-1, (2, 4)).transpose(1, 2) for y in every)
        shares = (torch.einsum("bhid,bhjd->bhij", q, k) / 2).softmax(-1)
        y = torch.einsum("bhij,bhjd->bhid", shares, v).transpose(1, 2).flatten(2)
        made: Tensor = (self.latents + self.out(y)).mean(1)
        return made


class Vision(nn.Module):
    """Patches of an image behind a token of their class (Dosovitskiy et al. 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.first = nn.Conv2d(3, 8, 4, 4), nn.Parameter(torch.randn(1, 1, 8))
        self.places = nn.Parameter(torch.randn(1, 5, 8) / 2)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(len(x), -1, -1), x], 1) + self.places
        made: Tensor = self.head(self.norm(self.layer(x))[:, 0])
        return made


class Experts(nn.Module):
    """All experts at once, mixed by soft shares."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(6, 3)
        self.up, self.down = (nn.Parameter(torch.randn(3, *s) / 3) for s in ((6, 8), (8, 4)))

    def forward(self, x: Tensor) -> Tensor:
        y = F.gelu(torch.einsum("bd,edh->beh", x, self.up))
        y = torch.einsum("beh,eho->beo", y, self.down)
        return torch.einsum("be,beo->bo", self.gate(x).softmax(-1), y)


class Denoiser(nn.Module):
    """Norms of groups, a time, attention between pixels, and up again (Ho et al. 2020)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.conv = nn.GroupNorm(1, 3), nn.Conv2d(3, 6, 3, padding=1)
        self.down, self.qkv = nn.Conv2d(6, 6, 3, 2, 1), nn.Conv2d(6, 18, 1)
        self.up, self.out = nn.Upsample(scale_factor=2), nn.Conv2d(12, 3, 3, padding=1)
        self.register_buffer("time", torch.randn(1, 4))
        self.shift = nn.Linear(4, 12)

    def forward(self, x: Tensor) -> Tensor:
        scale, shift = self.shift(F.silu(self.time))[:, :, None, None].chunk(2, 1)
        beside = self.conv(F.silu(self.norm(x))) * (1 + scale) + shift
        y = self.down(beside)
        q, k, v = self.qkv(y).reshape(len(x), 3, 6, 4).unbind(1)
        shares = (torch.einsum("bci,bcj->bij", q, k) / 6**0.5).softmax(-1)
        y = y + torch.einsum("bij,bcj->bci", shares, v).reshape(y.shape)
        made: Tensor = self.out(torch.cat([self.up(y), beside], 1))
        return made


class Distances(nn.Module):
    """A number learned for each distance, in buckets (Raffel et al. 2020), as a type cast."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24, bias=False), nn.Linear(8, 8, bias=False)
        self.near, self.norm = nn.Embedding(4, 2), nn.RMSNorm(8, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (y.view(1, 6, 2, 4).transpose(1, 2) for y in self.qkv(self.norm(x)).chunk(3, -1))
        at = torch.arange(6)
        buckets = torch.log2((at[:, None] - at).abs().float() + 1).long()
        scores = torch.matmul(q, k.transpose(3, 2)) + self.near(buckets).permute(2, 0, 1)
        y = F.softmax(scores.float(), -1).type_as(scores) @ v
        made: Tensor = x + self.out(y.transpose(1, 2).contiguous().view(1, 6, 8))
        return made


class Mobile(nn.Module):
    """An inverted residual, its channels weighed (Howard et al. 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Sequential(
            nn.Conv2d(4, 8, 1, bias=False), settled(nn.BatchNorm2d(8)), nn.Hardswish(True),
            nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False), settled(nn.BatchNorm2d(8)),
            nn.Hardswish(True),
        )  # fmt: skip
        self.few, self.many, self.down = (nn.Conv2d(*n, 1) for n in ((8, 4), (4, 8), (8, 4)))

    def forward(self, x: Tensor) -> Tensor:
        y = self.up(x)
        share = F.hardsigmoid(self.many(F.relu(self.few(F.adaptive_avg_pool2d(y, 1)), True)), True)
        made: Tensor = x + self.down(share * y)
        return made


def _weighed() -> nn.Module:
    """Weights that hooks make."""
    first = nn.utils.weight_norm(nn.Conv1d(2, 4, 3))
    return nn.Sequential(first, nn.LeakyReLU(0.1), nn.utils.spectral_norm(nn.Conv1d(4, 2, 3)))


class Windows(nn.Module):
    """Attention in shifted windows of an image, a number for each distance (Liu et al. 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.qkv, self.out = nn.LayerNorm(6), nn.Linear(6, 18), nn.Linear(6, 6)
        self.near = nn.Parameter(torch.randn(9, 2) / 4)
        at = torch.stack(torch.meshgrid(torch.arange(2), torch.arange(2), indexing="ij")).flatten(1)
        apart = at[:, :, None] - at[:, None] + 1
        self.register_buffer("apart", 3 * apart[0] + apart[1])

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x).roll((-1, -1), (1, 2)).view(1, 2, 2, 2, 2, 6)
        y = y.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, 4, 6)
        q, k, v = self.qkv(y).reshape(4, 4, 3, 2, 3).permute(2, 0, 3, 1, 4)
        scores = q @ k.mT / 3**0.5 + self.near[self.apart].permute(2, 0, 1)
        y = self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(4, 4, 6))
        y = y.view(1, 2, 2, 2, 2, 6).permute(0, 1, 3, 2, 4, 5).reshape(x.shape)
        return x + y.roll((1, 1), (1, 2))


def _packed(x: Tensor, qkv: nn.Module, out: nn.Module) -> Tensor:
    """Attention of a batch, as timm writes it."""
    q, k, v = qkv(x).reshape(2, 5, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
    made: Tensor = out(((q / 2 @ k.mT).softmax(-1) @ v).transpose(1, 2).reshape(2, 5, 8))
    return made


def _detected(x: Tensor, conv: nn.Module, query: nn.Embedding, layer: nn.Module) -> Tensor:
    """Queries that were learned, attending to each other first (Carion et al. 2020)."""
    made: Tensor = layer(query.weight.unsqueeze(1), conv(x).flatten(2).permute(2, 0, 1))
    return made


def _unbatched() -> nn.Module:
    """Channels of the convolution are rows, those of the norm columns, and as many."""
    norm = nn.BatchNorm1d(6)
    norm.weight.data.uniform_(0.5, 1.5)
    norm.running_mean = torch.rand(6)
    return nn.Sequential(nn.Conv1d(2, 6, 1), norm)


NETWORKS: dict[str, tuple[nn.Module, Shape]] = {
    "a U-Net": (UNet(), (1, 1, 8, 8)),
    "a temporal network": (Temporal(), (1, 2, 9)),
    "squeeze and excite": (Squeeze(), (1, 2, 6, 6)),
    "an MLP-Mixer": (Mixer(), (1, 4, 6)),
    "a ConvNeXt block": (ConvNext(), (1, 4, 6, 6)),
    "slopes of distances": (Alibi(), (1, 5, 6)),
    "a gated convolution": (_gated_convolution(), (1, 2, 9)),
    "an inverted residual": (Inverted(), (1, 3, 5, 5)),
    "a highway": (Highway(), (2, 6)),
    "a Siamese distance": (Siamese(), (2, 12)),
    "shifted windows": (Shifted(), (1, 8, 4)),
    "a graph": (Graph(), (1, 5, 6)),
    "attention without softmax": (Linear(), (1, 5, 4)),
    "crossed features": (Crossed(), (1, 4, 3)),
    "an autoencoder": (_autoencoder(), (1, 1, 8, 8)),
    "super-resolution": (_finer(), (1, 1, 5, 5)),
    "a norm by hand": (Apply(_standardised, nn.Linear(6, 8), nn.Linear(8, 3)), (2, 6)),
    "shares by hand": (Apply(_sharing, nn.Linear(6, 5)), (2, 6)),
    "two directions by hand": (
        Apply(_spectral, nn.GRU(4, 3, batch_first=True), nn.GRU(4, 3, batch_first=True)),
        (1, 5, 4),
    ),
    "learned queries": (Latents(), (1, 7, 6)),
    "patches and a class": (Vision(), (1, 3, 8, 8)),
    "experts at once": (Experts(), (2, 6)),
    "a denoiser": (Denoiser(), (1, 3, 4, 4)),
    "buckets of distances": (Distances(), (1, 6, 8)),
    "hard swishes": (Mobile(), (1, 4, 6, 6)),
    "weights by hooks": (_weighed(), (1, 2, 8)),
    "windows of an image": (Windows(), (1, 4, 4, 6)),
    "heads of a batch": (Apply(_packed, nn.Linear(8, 24), nn.Linear(8, 8)), (2, 5, 8)),
    "things detected": (
        Apply(_detected, nn.Conv2d(3, 8, 4, 4), nn.Embedding(4, 8),
              nn.TransformerDecoderLayer(8, 2, 8)),
        (1, 3, 8, 8),
    ),
    "keys more than there are": (
        Apply(
            lambda x, m: m(x, x, x)[0],
            nn.MultiheadAttention(6, 2, add_bias_kv=True, add_zero_attn=True, batch_first=True),
        ),
        (1, 5, 6),
    ),
    "a norm without a batch": (_unbatched(), (2, 6)),
}  # fmt: skip
