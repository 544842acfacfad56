using Microsoft.ML.Data;

namespace Microsoft.ML.Data
{
    [Flags]
    public enum TransformerScope
    {
        None = 0,
        Training = 1,
        Testing = 2,
        Scoring = 4,
        TrainTest = 3,
        Everything = 7,
    }

    public sealed class EstimatorChain<TLastTransformer> : IEstimator<TransformerChain<TLastTransformer>>
        where TLastTransformer : class, ITransformer
    {
        private readonly IEstimator<ITransformer>[] _estimators;

        public EstimatorChain()
            : this([])
        {
        }

        internal EstimatorChain(IEstimator<ITransformer>[] estimators) => _estimators = estimators;

        public TransformerChain<TLastTransformer> Fit(IDataView input)
        {
            // What the shapes can tell, they tell before anything is trained.
            GetOutputSchema(SchemaShape.Create(input.Schema));
            IDataView data = input;
            List<ITransformer> transformers = [];
            foreach (IEstimator<ITransformer> estimator in _estimators)
            {
                transformers.Add(estimator.Fit(data));
                data = transformers[^1].Transform(data);
            }

            return new([.. transformers]);
        }

        public SchemaShape GetOutputSchema(SchemaShape inputSchema)
            => _estimators.Aggregate(inputSchema, (shape, estimator) => estimator.GetOutputSchema(shape));

        public EstimatorChain<TNewTrans> Append<TNewTrans>(
            IEstimator<TNewTrans> estimator, TransformerScope scope = TransformerScope.Everything)
            where TNewTrans : class, ITransformer
            => new([.. _estimators, estimator]);
    }
}

namespace Microsoft.ML
{
    public static class LearningPipelineExtensions
    {
        public static EstimatorChain<TTrans> Append<TTrans>(
            this IEstimator<ITransformer> start,
            IEstimator<TTrans> estimator,
            TransformerScope scope = TransformerScope.Everything)
            where TTrans : class, ITransformer
            => new([start, estimator]);
    }
}
