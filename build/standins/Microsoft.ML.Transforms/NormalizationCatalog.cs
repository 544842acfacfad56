using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML;

public static class NormalizationCatalog
{
    public static NormalizingEstimator NormalizeMinMax(
        this TransformsCatalog catalog,
        string outputColumnName,
        string inputColumnName = null,
        long maximumExampleCount = 1000000000,
        bool fixZero = true)
        => new(
            catalog.GetEnvironment(), [(outputColumnName, inputColumnName ?? outputColumnName)],
            NormalizationMode.MinMax, maximumExampleCount, fixZero);

    public static NormalizingEstimator NormalizeMeanVariance(
        this TransformsCatalog catalog,
        string outputColumnName,
        string inputColumnName = null,
        long maximumExampleCount = 1000000000,
        bool fixZero = true,
        bool useCdf = false)
        => useCdf
            ? throw new NotSupportedException("This stand-in has no distribution function.")
            : new(
                catalog.GetEnvironment(), [(outputColumnName, inputColumnName ?? outputColumnName)],
                NormalizationMode.MeanVariance, maximumExampleCount, fixZero);
}
