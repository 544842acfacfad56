using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// The one class by which ML.NET loads any model of this package; <c>mlContext.Model.Load</c> finds it by the
/// assembly's attribute and calls <see cref="Create"/>.
/// </summary>
internal static class ModelLoader
{
    /// <summary>The name in the head of each saved model. Changing it would orphan them all.</summary>
    public const string LoaderSignature = "GenerativeML";

    /// <param name="env">A child of the environment that loads.</param>
    /// <param name="ctx">A <c>ModelLoadContext</c>, a type that is internal to ML.NET.</param>
    /// <exception cref="FormatException">The saved model is damaged, or no model of this package.</exception>
    /// <exception cref="InvalidOperationException">
    /// Torch, or the device that the environment names, is not there.
    /// </exception>
    public static ITransformer Create(IHostEnvironment env, object ctx)
    {
        try
        {
            return ModelFile.Load(env, ctx);
        }
        catch (Exception error) when (error is FormatException or InvalidOperationException)
        {
            // Marked as ML.NET's own, so that it reports an error of loading and not one of reflection.
            throw env.Process(error);
        }
    }
}
