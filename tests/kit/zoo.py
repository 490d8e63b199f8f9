"""Models of many kinds, whose parameters and FLOPs are known: the first six have golden counts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint


class SmallCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
        )
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        return self.fc(torch.flatten(self.features(x), 1))


class ResidualBlock(nn.Module):
    def __init__(self, inner, outer, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outer)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)
        self.downsample: nn.Module | None = None
        if stride != 1 or inner != outer:
            self.downsample = nn.Sequential(
                nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer)
            )

    def forward(self, x):
        straight = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += straight
        return self.relu(out)


class ResNet18(nn.Module):
    def __init__(self, classes=1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        sizes = (64, 64, 128, 256, 512)

        def stage(k):
            first = ResidualBlock(sizes[k - 1], sizes[k], 1 if k == 1 else 2)
            return nn.Sequential(first, ResidualBlock(sizes[k], sizes[k]))

        self.layer1, self.layer2, self.layer3, self.layer4 = (stage(k) for k in range(1, 5))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512, classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class DoubleConvolution(nn.Module):
    def __init__(self, inner, outer):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(inner, outer, 3, padding=1),
            nn.BatchNorm2d(outer),
            nn.ReLU(),
            nn.Conv2d(outer, outer, 3, padding=1),
            nn.BatchNorm2d(outer),
            nn.ReLU(),
        )

    def forward(self, x):
        return self.net(x)


class UNet(nn.Module):
    def __init__(self, c=16):
        super().__init__()
        self.down = nn.ModuleList(
            DoubleConvolution(a, b) for a, b in ((3, c), (c, 2 * c), (2 * c, 4 * c))
        )
        self.pool = nn.MaxPool2d(2)
        self.middle = DoubleConvolution(4 * c, 8 * c)
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * k * c, k * c, 2, 2) for k in (4, 2, 1))
        self.join = nn.ModuleList(DoubleConvolution(2 * k * c, k * c) for k in (4, 2, 1))
        self.head = nn.Conv2d(c, 2, 1)

    def forward(self, x):
        kept = []
        for down in self.down:
            x = down(x)
            kept.append(x)
            x = self.pool(x)
        x = self.middle(x)
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat([up(x), kept.pop()], 1))
        return self.head(x)


class LSTMNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(1000, 64)
        self.lstm = nn.LSTM(64, 128, 2, batch_first=True)
        self.drop = nn.Dropout(0.1)
        self.fc = nn.Linear(128, 5)

    def forward(self, x):
        hidden, _ = self.lstm(self.emb(x))
        return self.fc(self.drop(hidden[:, -1]))


class FailShape(nn.Module):
    """A linear layer half way expects other features than it is given."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(3, 8, 3, padding=1)
        self.r1 = nn.ReLU()
        self.c2 = nn.Conv2d(8, 16, 3, padding=1)
        self.r2 = nn.ReLU()
        self.bad = nn.Linear(999, 32)
        self.r3 = nn.ReLU()
        self.out = nn.Linear(32, 10)

    def forward(self, x):
        x = self.r2(self.c2(self.r1(self.c1(x))))
        x = self.bad(torch.flatten(x, 1))
        return self.out(self.r3(x))


class FailRaise(nn.Module):
    """A decoder that nobody has written yet."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(3, 8, 3, padding=1)
        self.r1 = nn.ReLU()
        self.c2 = nn.Conv2d(8, 16, 3, padding=1)
        self.out = nn.Linear(16, 10)

    def forward(self, x):
        x = self.c2(self.r1(self.c1(x)))
        raise NotImplementedError("the decoder is missing")


GOLDEN = {
    "small_cnn": (SmallCNN, (2, 3, 32, 32)),
    "resnet18": (ResNet18, (1, 3, 224, 224)),
    "unet": (UNet, (1, 3, 64, 64)),
    "lstm": (LSTMNet, (2, 20)),
    "fail_shape": (FailShape, (1, 3, 16, 16)),
    "fail_raise": (FailRaise, (1, 3, 16, 16)),
}


def golden(name):
    """A model with golden counts, in eval mode, and its input."""
    make, shape = GOLDEN[name]
    torch.manual_seed(0)
    return make().eval(), torch.zeros(shape, dtype=torch.int64 if name == "lstm" else torch.float32)


class Attention(nn.Module):
    """Causal self-attention over [B, T, D] by the fused function."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.take = nn.Linear(width, 3 * width)
        self.give = nn.Linear(width, width)

    def forward(self, x):
        batch, steps, width = x.shape
        parts = self.take(x).split(width, 2)
        q, k, v = (p.view(batch, steps, self.heads, -1).transpose(1, 2) for p in parts)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.give(mixed.transpose(1, 2).reshape(batch, steps, width))


class GPTBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.wide = nn.Linear(width, 4 * width)
        self.act = nn.GELU()
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.narrow(self.act(self.wide(self.norm2(x))))


class GPT(nn.Module):
    """A decoder whose embedding and head share a weight."""

    def __init__(self, blocks=2, width=32, heads=4, words=101, longest=64):
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.places = nn.Embedding(longest, width)
        self.blocks = nn.ModuleList(GPTBlock(width, heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, words, bias=False)
        self.head.weight = self.words.weight

    def forward(self, ids):
        x = self.words(ids) + self.places(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class ViT(nn.Module):
    """Patches, a class token, torch's own encoder layers, a head."""

    def __init__(self, width=24, depth=2):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        layer = nn.TransformerEncoderLayer(width, 3, 48, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, 7)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        return self.head(self.encoder(x)[:, 0])


class BERTEmbeddings(nn.Module):
    """Words, places and token types, summed and normalized."""

    def __init__(self, words, longest, width):
        super().__init__()
        self.words = nn.Embedding(words, width, padding_idx=0)
        self.places = nn.Embedding(longest, width)
        self.types = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.drop = nn.Dropout(0.1)

    def forward(self, ids, types):
        steps = torch.arange(ids.shape[1], device=ids.device)
        return self.drop(self.norm(self.words(ids) + self.places(steps) + self.types(types)))


class BERTAttention(nn.Module):
    """Self-attention in single operations, with the mask added to the scores."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.drop = nn.Dropout(0.1)
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x, mask):
        def apart(y):
            return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        q, k, v = apart(self.query(x)), apart(self.key(x)), apart(self.value(x))
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + mask
        mixed = self.drop(scores.softmax(-1)) @ v
        return self.norm(x + self.drop(self.dense(mixed.transpose(1, 2).flatten(2))))


class BERTLayer(nn.Module):
    def __init__(self, width, heads, wide):
        super().__init__()
        self.attention = BERTAttention(width, heads)
        self.intermediate = nn.Linear(width, wide)
        self.output = nn.Linear(wide, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.drop = nn.Dropout(0.1)

    def forward(self, x, mask):
        x = self.attention(x, mask)
        return self.norm(x + self.drop(self.output(F.gelu(self.intermediate(x)))))


class BERT(nn.Module):
    """The encoder of Devlin et al., post-norm, with a pooler; the defaults are BERT base's.

    Returns ``last_hidden_state`` [B, T, width] and ``pooler_output`` [B, width].
    """

    def __init__(self, width=768, depth=12, heads=12, wide=3072, words=30522, longest=512):
        super().__init__()
        self.embeddings = BERTEmbeddings(words, longest, width)
        self.encoder = nn.ModuleList(BERTLayer(width, heads, wide) for _ in range(depth))
        self.pooler = nn.Linear(width, width)

    def forward(self, input_ids, token_type_ids=None, attention_mask=None):
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        kept = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        mask = (1.0 - kept[:, None, None].float()) * -1e9
        x = self.embeddings(input_ids, types)
        for layer in self.encoder:
            x = layer(x, mask)
        return {"last_hidden_state": x, "pooler_output": torch.tanh(self.pooler(x[:, 0]))}


class Branching(nn.Module):
    """Which layer runs depends on the data."""

    def __init__(self):
        super().__init__()
        self.small = nn.Linear(4, 4)
        self.large = nn.Linear(4, 8)

    def forward(self, x):
        if x.sum() > 100:
            return self.large(x)
        return self.small(x)


class Masked(nn.Module):
    """How many rows go on depends on the data."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x[x[:, 0] > 0])


class Reusing(nn.Module):
    """One layer called three times, one weight under two names, one layer for nothing."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(6, 6)
        self.b = nn.Linear(6, 6)
        self.b.weight = self.a.weight
        self.unused = nn.Linear(5, 5)

    def forward(self, x):
        for _ in range(2):
            x = torch.relu(self.a(x))
        x = checkpoint(self.a, x, use_reentrant=False)
        return self.b(x)
