using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML;

/// <summary>
/// What variational EM (Attias 1999; Bishop 2006, 10.2) makes of what a pass counted: weights have a Dirichlet prior,
/// means and precisions of standardised features a normal and a Wishart prior, of the data's own mean and deviation and
/// as weak as one that is proper can be; of single variances, gamma priors.
/// </summary>
internal sealed class GaussianMixturePrior
{
    private readonly CovarianceType _type;
    private readonly double _concentration;
    private readonly Tensor _varying, _rows, _counts, _meanRows; // (D), then (K): of the posteriors of weights and means
    private readonly int _features;
    private Tensor _precisionRows; // (K), or (1) where all share one

    /// <param name="type">The shape of the components.</param>
    /// <param name="concentration">The rows that the prior has for each component.</param>
    /// <param name="varying">One where a feature varies, zero where it is constant, (D).</param>
    /// <param name="rows">The rows of each component, (K).</param>
    public GaussianMixturePrior(CovarianceType type, double concentration, Tensor varying, Tensor rows)
    {
        (_type, _concentration, _varying, _rows, _precisionRows) = (type, concentration, varying, rows, rows);
        _features = (int)Math.Max(1, varying.sum().item<double>());
        (_counts, _meanRows) = (rows.Plus(concentration), rows.Plus(1));
    }

    private bool HasMatrices => _type is CovarianceType.Full or CovarianceType.Tied;

    // Dimensions of a Wishart distribution, how many of those make a matrix's determinant, and how many there are.
    private int Dimensions => HasMatrices ? _features : 1;

    private int Factors => HasMatrices ? 1 : _features;

    private int Distributions => _type == CovarianceType.Diagonal ? _features : 1;

    private double PriorRows => _type == CovarianceType.Diagonal ? 1 : _features;

    /// <summary>The mean of the weights' distribution.</summary>
    public Tensor Weights => _counts.div(_counts.sum());

    /// <summary>What is expected of the logarithms of weights and of densities, beside those of the means, (K).</summary>
    public Tensor Expected => ExpectedWeights
        .Plus(Digammas.Plus(_precisionRows.log().Scaled(-Dimensions)).Plus(Dimensions * Math.Log(2)).Scaled(0.5 * Factors))
        .Plus(_meanRows.reciprocal(), -0.5 * _features);

    private Tensor ExpectedWeights => _counts.digamma().Minus(_counts.sum().digamma());

    private Tensor Digammas => Arguments(_precisionRows).digamma().sum(0L);

    /// <summary>
    /// The means of the distributions of means, (K, D), and the covariances that belong to the mean precisions, (K, D, D),
    /// (1, D, D) or (K, D), of the means of rows and their spread around those.
    /// </summary>
    public (Tensor Means, Tensor Covariance) Update(Tensor means, Tensor spread)
    {
        Tensor between = HasMatrices ? means.unsqueeze(2).mul(means.unsqueeze(1)) : means.Squared();
        Tensor scatter = spread.mul(Column(_rows)).Plus(between.mul(Column(_rows.div(_meanRows))));
        Tensor counted = _rows;
        if (_type == CovarianceType.Tied)
            (scatter, counted) = (scatter.sum(0L).unsqueeze(0), _rows.sum().unsqueeze(0));
        if (_type == CovarianceType.Spherical)
            (scatter, counted) = (scatter.mul(_varying).sum(1).unsqueeze(1), _rows.Scaled(_features));
        _precisionRows = counted.Plus(PriorRows);
        Tensor one = ones_like(_varying);
        scatter = scatter.Plus(HasMatrices ? one.diag() : _type == CovarianceType.Spherical ? one.Scaled(_features) : one);
        return (means.mul(_rows.div(_meanRows).unsqueeze(1)), scatter.div(Column(_precisionRows)));
    }

    /// <summary>
    /// The divergence of the posteriors from the priors, given the inverse factors and means of the covariances, white
    /// (K, D).
    /// </summary>
    public Tensor Divergence(Tensor inverse, Tensor whiteMeans)
    {
        using DisposeScope scope = NewDisposeScope();
        double shape = _type == CovarianceType.Spherical ? _features : 1;
        Tensor single = zeros_like(_rows).Fill(_concentration), prior = zeros_like(_precisionRows).Fill(PriorRows);
        Tensor weights = _counts.sum().lgamma().Minus(_counts.lgamma().sum()).Minus(single.sum().lgamma())
            .Plus(single.lgamma().sum()).Plus(ExpectedWeights.mul(_rows).sum());
        Tensor means = _meanRows.reciprocal().Plus(_meanRows.log()).Plus(-1).sum().Scaled(0.5 * _features)
            .Plus(whiteMeans.Squared().sum(), 0.5);
        Tensor diagonal = HasMatrices ? inverse.diagonal(0, 1, 2) : inverse;
        Tensor logDeterminant = diagonal.log().mul(_varying).sum(1).Scaled(-2 / shape); // of a spherical one that of a variance
        Tensor trace = inverse.Squared().mul(_varying).reshape(inverse.shape[0], -1).sum(1);
        double size = HasMatrices || _type == CovarianceType.Diagonal ? _features : 1;
        Tensor precisions = logDeterminant.Plus(_precisionRows.log(), size).Plus(-size * Math.Log(shape)).Scaled(PriorRows)
            .Plus(trace).Plus(_precisionRows, -size).Scaled(0.5)
            .Plus(
                Arguments(prior).lgamma().sum(0L).Minus(Arguments(_precisionRows).lgamma().sum(0L))
                    .Plus(_precisionRows.Minus(prior).mul(Digammas), 0.5),
                Distributions);
        return weights.Plus(means).Plus(precisions.sum()).MoveToOuterDisposeScope();
    }

    // (ν − i) / 2 for each dimension i, (p, K). To sum over these, 0L: a plain zero would be a ScalarType.
    private Tensor Arguments(Tensor precisionRows) => precisionRows.unsqueeze(0)
        .Minus(tensor([.. Enumerable.Range(0, Dimensions).Select(i => (double)i)], device: precisionRows.device).unsqueeze(1))
        .Scaled(0.5);

    private Tensor Column(Tensor values) => HasMatrices ? values.reshape(-1, 1, 1) : values.unsqueeze(1);
}
