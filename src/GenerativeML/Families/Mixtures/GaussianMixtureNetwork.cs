using TorchSharp;

namespace GenerativeML;

/// <summary>
/// A mixture of K normal distributions of standardised rows: p(x) = Σ πₖ N(x | μₖ, Σₖ). A component's matrix is held as
/// the lower factor L of Σ = L·Lᵀ, to sample, and its inverse, to score; or as their diagonals.
/// </summary>
internal sealed class GaussianMixtureNetwork(GaussianMixtureOptions options, VectorInput input)
    : VectorNetwork(input), IScorer, IEncoder, ISampler
{
    private readonly int _width = input.Width, _components = options.Components!.Value;

    private int Matrices => options.CovarianceType == CovarianceType.Tied ? 1 : _components;

    /// <summary>Whether components have matrices, which stand one below the other, not variances of single features.</summary>
    public bool HasMatrices => options.CovarianceType is CovarianceType.Full or CovarianceType.Tied;

    /// <inheritdoc />
    public bool IsLogLikelihood => true;

    /// <summary>The latent vector: how likely the row is of each component.</summary>
    public int LatentDimension => _components;

    /// <inheritdoc />
    public int NormalWidth => _width;

    /// <inheritdoc />
    public int UniformWidth => 1;

    /// <inheritdoc />
    public override void Declare(Layers layers)
    {
        layers.Parameter("weights", 0, _components);
        layers.Parameter("log_factors", 0, _components); // log πₖ − log √|2πΣₖ|
        layers.Parameter("means", 0, _components, _width);
        layers.Parameter("white_means", 0, _components, _width); // L⁻¹·μ
        layers.Parameter("factors", 0, HasMatrices ? Matrices * _width : _components, _width);
        layers.Parameter("inverse_factors", 0, HasMatrices ? Matrices * _width : _components, _width);
    }

    /// <inheritdoc />
    public override VectorPasses BeginPasses(RowStatistics rows, torch.Device device)
    {
        using torch.Tensor sample = VectorPasses.Sample(rows, device);
        return GaussianMixtureFit.Start(options, rows, sample);
    }

    /// <summary>The free numbers of the model with so many features that vary.</summary>
    public int FreeParameters(int features) => _components - 1 + _components * features + options.CovarianceType switch
    {
        CovarianceType.Full => _components * features * (features + 1) / 2,
        CovarianceType.Tied => features * (features + 1) / 2,
        CovarianceType.Diagonal => _components * features,
        _ => _components,
    };

    /// <summary>log πₖ N(x | μₖ, Σₖ) of rows (B, D), (B, K).</summary>
    public T Joint<T>(Scope<T> w, T x)
        where T : struct, ITensor<T>
    {
        T inverse = w["inverse_factors"];
        T white = (HasMatrices ? x.Linear(inverse).Reshape(-1, Matrices, _width) : x.Unsqueeze(1) * inverse)
            - w["white_means"]; // (B, K, D)
        T distance = white.Apply(Function.Square).Reshape(-1, _width).Reduce(Reduction.Sum, 1).Reshape(-1, _components);
        return w["log_factors"] - distance * 0.5f;
    }

    /// <inheritdoc />
    public (T Score, T? ByFeature) Score<T>(Scope<T> w, VectorRows<T> rows, bool byFeature)
        where T : struct, ITensor<T> => (-Joint(w, rows.Features).LogSumExp(1), null);

    /// <inheritdoc />
    public (T Mean, T? Deviation) Encode<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> => (Joint(w, rows.Features).Softmax(), null);

    /// <inheritdoc />
    public T Sample<T>(Scope<T> w, T normal, T? uniform, T? condition)
        where T : struct, ITensor<T>
    {
        // One where the uniform number lies between a component's end and that of the one before: (B, K).
        T u = uniform!.Value, end = w["weights"].CumulativeSum(0), no = u * 0f;
        T last = no + 1f;
        T below = _components == 1
            ? last
            : T.Concat(1, T.IfLess(u, end.Slice(0, 0, _components - 1), last, no), last);
        T chosen = _components == 1
            ? below
            : below - T.Concat(1, no, below.Slice(1, 0, _components - 1));
        T x = HasMatrices
            ? normal.Linear(w["factors"]).Reshape(-1, Matrices, _width)
            : normal.Unsqueeze(1) * w["factors"]; // (B, K, D)
        return ((x + w["means"]) * chosen.Unsqueeze(2)).Reduce(Reduction.Sum, 1).Squeeze(1);
    }
}
