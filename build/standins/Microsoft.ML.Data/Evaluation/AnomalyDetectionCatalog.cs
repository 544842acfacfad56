using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML
{
    public abstract class TrainCatalogBase : IInternalCatalog
    {
        private readonly IHostEnvironment _env;

        private protected TrainCatalogBase(IHostEnvironment env) => _env = env;

        IHostEnvironment IInternalCatalog.Environment => _env;

        public abstract class CatalogInstantiatorBase : IInternalCatalog
        {
            private readonly TrainCatalogBase _owner;

            private protected CatalogInstantiatorBase(TrainCatalogBase owner) => _owner = owner;

            IHostEnvironment IInternalCatalog.Environment => _owner._env;
        }
    }

    public sealed class AnomalyDetectionCatalog : TrainCatalogBase
    {
        internal AnomalyDetectionCatalog(IHostEnvironment env)
            : base(env)
            => Trainers = new(this);

        public AnomalyDetectionTrainers Trainers { get; }

        public AnomalyDetectionMetrics Evaluate(
            IDataView data,
            string labelColumnName = "Label",
            string scoreColumnName = "Score",
            string predictedLabelColumnName = "PredictedLabel",
            int falsePositiveCount = 10)
        {
            IHostEnvironment env = this.GetEnvironment();
            env.CheckValue(data, nameof(data));
            return AnomalyDetectionEvaluator.Evaluate(
                env, data, labelColumnName, scoreColumnName, predictedLabelColumnName, falsePositiveCount);
        }

        public sealed class AnomalyDetectionTrainers : CatalogInstantiatorBase
        {
            internal AnomalyDetectionTrainers(AnomalyDetectionCatalog catalog)
                : base(catalog)
            {
            }
        }
    }
}

namespace Microsoft.ML.Data
{
    public sealed class AnomalyDetectionMetrics
    {
        internal AnomalyDetectionMetrics(double areaUnderRocCurve, double detectionRateAtFalsePositiveCount)
        {
            AreaUnderRocCurve = areaUnderRocCurve;
            DetectionRateAtFalsePositiveCount = detectionRateAtFalsePositiveCount;
        }

        public double AreaUnderRocCurve { get; }

        public double DetectionRateAtFalsePositiveCount { get; }
    }
}
