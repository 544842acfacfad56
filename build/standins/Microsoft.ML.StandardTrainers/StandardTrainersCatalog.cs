using Microsoft.ML.Data;
using Microsoft.ML.Trainers;

namespace Microsoft.ML;

public static class StandardTrainersCatalog
{
    public static LbfgsLogisticRegressionBinaryTrainer LbfgsLogisticRegression(
        this BinaryClassificationCatalog.BinaryClassificationTrainers catalog,
        string labelColumnName = "Label",
        string featureColumnName = "Features",
        string exampleWeightColumnName = null,
        float l1Regularization = 1,
        float l2Regularization = 1,
        float optimizationTolerance = 1e-7f,
        int historySize = 20,
        bool enforceNonNegativity = false)
        => exampleWeightColumnName is null && !enforceNonNegativity
            ? new(catalog.GetEnvironment(), labelColumnName, featureColumnName, l1Regularization, l2Regularization)
            : throw new NotSupportedException("This stand-in weighs all rows alike, and weights may be negative.");
}
