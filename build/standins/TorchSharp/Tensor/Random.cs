using static TorchSharp.Dispatch.Operators;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor normal_(double mean = 0, double std = 1, Generator? generator = null) => Mutate("normal_", this, mean, std, generator);
        public Tensor uniform_(double from, double to, Generator? generator = null) => Mutate("uniform_", this, from, to, generator);
        public Tensor bernoulli_(double p = 0.5, Generator? generator = null) => Mutate("bernoulli_.float", this, p, generator);
    }
}
