using TorchSharp;
using static TorchSharp.torch.nn.functional;

namespace GenerativeML;

/// <summary>The perceptron of a block: each token for itself, C → 4·C → C.</summary>
internal sealed class GptPerceptron : torch.nn.Module
{
    private readonly GeluForm _gelu;
    private readonly GptDense c_fc;
    private readonly GptDense c_proj;

    public GptPerceptron(GptShape shape, GptBuild build)
        : base(nameof(GptPerceptron))
    {
        _gelu = shape.Gelu;
        c_fc = build.Dense(shape.Width, shape.HiddenWidth, LoraTargets.PerceptronInput);
        c_proj = build.Residual(shape.HiddenWidth, shape.Width, LoraTargets.PerceptronOutput);
        RegisterComponents();
    }

    public GptDense Input => c_fc;

    public GptDense Output => c_proj;

    public torch.Tensor Forward(torch.Tensor x, GptDropout? dropout)
    {
        torch.Tensor result = c_proj.call(Activate(c_fc.call(x)));
        return dropout is null ? result : dropout.Apply(result);
    }

    // TorchSharp's gelu has the erf form alone. (1 + tanh u)/2 is the sigmoid of 2u.
    private torch.Tensor Activate(torch.Tensor x) => _gelu == GeluForm.Erf
        ? gelu(x)
        : x.mul(x.square().mul(0.044715).add(1).mul(x).mul(2 * Math.Sqrt(2 / Math.PI)).sigmoid());
}
