#!/usr/bin/env python3
"""Reads and writes safetensors files with Python's own json and struct and with torch, from the format's public
description alone (https://github.com/huggingface/safetensors), so that the two implementations check each other.

    safetensors_peer.py copy IN OUT         reads a file into torch, writes what torch holds, and prints it as JSON
    safetensors_peer.py network OUT         writes the state dict of a small network; prints an input and its output
    safetensors_peer.py forward IN          loads such a state dict; prints the output for the same input
"""

import json
import math
import struct
import sys

import torch

TYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16, "F16": torch.float16,
    "BF16": torch.bfloat16, "I32": torch.int32, "F32": torch.float32, "F64": torch.float64, "I64": torch.int64,
}
NAMES = {dtype: name for name, dtype in TYPES.items()}


def read(path):
    """The tensors of a file, in the order in which the header names them, and the notes."""
    with open(path, "rb") as file:
        return parse(file.read())


def parse(content):
    """The same of a file's content."""
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8:8 + length].decode("utf-8"))
    data = content[8 + length:]
    notes = header.pop("__metadata__", {})
    tensors = {}
    covered = 0
    for name, about in header.items():
        begin, end = about["data_offsets"]
        dtype = TYPES[about["dtype"]]
        size = torch.empty((), dtype=dtype).element_size()
        assert end - begin == math.prod(about["shape"]) * size, name
        assert (8 + length + begin) % size == 0, f"{name} is not aligned"
        covered += end - begin
        if begin == end:
            tensors[name] = torch.empty(about["shape"], dtype=dtype)
        else:
            tensors[name] = torch.frombuffer(bytearray(data[begin:end]), dtype=dtype).reshape(about["shape"])
    assert covered == len(data)
    return tensors, notes


def write(path, tensors, notes):
    """Lays the tensors out in the order in which they come, with no padding: sound, but unlike other writers."""
    header = {"__metadata__": notes} if notes else {}
    pieces = []
    end = 0
    for name, tensor in tensors.items():
        raw = bytes(tensor.detach().contiguous().reshape(-1).view(torch.uint8).tolist()) if tensor.numel() else b""
        header[name] = {
            "data_offsets": [end, end + len(raw)], "shape": list(tensor.shape), "dtype": NAMES[tensor.dtype]}
        pieces.append(raw)
        end += len(raw)
    text = json.dumps(header).encode("ascii")
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(pieces))


def describe(tensors, notes):
    return {
        "notes": notes,
        "tensors": {
            name: {
                "dtype": str(tensor.dtype), "shape": list(tensor.shape),
                "values": [float(value) for value in tensor.reshape(-1).to(torch.float64)]}
            for name, tensor in tensors.items()},
    }


def network():
    return torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))


def forward(net):
    given = torch.linspace(-2, 2, 10, dtype=torch.float32).reshape(2, 5)
    with torch.no_grad():
        return {"input": given.reshape(-1).tolist(), "output": net(given).reshape(-1).tolist()}


def main(command, *paths):
    torch.manual_seed(1)
    net = network()
    if command == "copy":
        content = read(paths[0])
        write(paths[1], *content)
        print(json.dumps(describe(*content)))
    elif command == "network":
        write(paths[0], dict(net.state_dict()), {"format": "pt"})
        print(json.dumps(forward(net)))
    elif command == "forward":
        net.load_state_dict(read(paths[0])[0], strict=True)
        print(json.dumps(forward(net)))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
