namespace GenerativeML;

/// <summary>All families that can be loaded.</summary>
internal static class ModelFamilies
{
    private static readonly Dictionary<string, ModelFamily> s_known = new()
    {
        [AutoencoderTrainer.Family.Name] = VectorModelState.Loader(AutoencoderTrainer.Family),
        [ConvolutionalVaeTrainer.Family.Name] = VectorModelState.Loader(ConvolutionalVaeTrainer.Family),
        [VaeTrainer.Family.Name] = VectorModelState.Loader(VaeTrainer.Family),
        [GaussianMixtureTrainer.Family.Name] = VectorModelState.Loader(GaussianMixtureTrainer.Family),
        [RealNvpTrainer.Family.Name] = VectorModelState.Loader(RealNvpTrainer.Family),
        [GptTransformer.SavedFamily.Name] = GptTransformer.SavedFamily,
        [GanTrainer.Family.Name] = VectorModelState.Loader(GanTrainer.Family),
        [TabularTransformer.SavedFamily.Name] = TabularTransformer.SavedFamily,
    };

    /// <summary>Finds a family by the name that a file gives it.</summary>
    /// <exception cref="FormatException">There is none of that name in this version.</exception>
    public static ModelFamily Find(string name)
    {
        lock (s_known)
        {
            return s_known.TryGetValue(name, out ModelFamily? family)
                ? family
                : throw new FormatException($"The saved model is of the family '{name}', which this version does not know.");
        }
    }

    /// <summary>Adds a family that is not the package's own, as tests do.</summary>
    public static void Add(ModelFamily family)
    {
        lock (s_known)
            s_known.Add(family.Name, family);
    }
}
