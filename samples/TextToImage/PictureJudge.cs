using GenerativeML;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;

namespace TextToImage;

/// <summary>
/// Says what pictures show, by a classifier for each question about a caption. It learns from true pictures alone, so that
/// what a model made is judged by somebody else.
/// </summary>
internal sealed class PictureJudge
{
    private readonly MLContext _ml;
    private readonly Func<string, string[]> _answers;
    private readonly ITransformer[] _classifiers;

    /// <summary>Trains it.</summary>
    /// <param name="ml">Its seed decides the training.</param>
    /// <param name="shape">The pictures' shape.</param>
    /// <param name="pictures">True pictures.</param>
    /// <param name="answers">What a caption answers to each question.</param>
    public PictureJudge(MLContext ml, ImageShape shape, IReadOnlyList<Captioned> pictures, Func<string, string[]> answers)
    {
        (_ml, _answers) = (ml, answers);
        _classifiers = [.. answers(pictures[0].Caption).Select((_, question) => ml.Transforms.Conversion.MapValueToKey("Label", nameof(Asked.Answer))
            .Append(ml.MulticlassClassification.Trainers.ImageDiscriminator(new ImageDiscriminatorOptions
            {
                FeatureColumnName = nameof(Asked.Image), ImageShape = shape, Epochs = Math.Max(1, 80_000 / pictures.Count),
            }))
            .Append(ml.Transforms.Conversion.MapKeyToValue("PredictedLabel"))
            .Fit(Ask(pictures, question)))];
    }

    /// <summary>Of each picture, whether it shows what its caption answers to each question.</summary>
    public bool[][] IsRight(IReadOnlyList<Captioned> pictures)
    {
        string[][] seen = [.. _classifiers.Select((classifier, question) =>
            classifier.Transform(Ask(pictures, question)).GetColumn<string>("PredictedLabel").ToArray())];
        return [.. pictures.Select((picture, i) => _answers(picture.Caption).Select((answer, question) => seen[question][i] == answer).ToArray())];
    }

    private IDataView Ask(IEnumerable<Captioned> pictures, int question) => _ml.Data.LoadFromEnumerable(
        pictures.Select(picture => new Asked { Image = picture.Image, Answer = _answers(picture.Caption)[question] }).ToArray());

    private sealed class Asked
    {
        [ImageType(32, 32)]
        public MLImage? Image { get; set; }

        public string Answer { get; set; } = "";
    }
}
