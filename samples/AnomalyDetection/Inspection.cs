using DataFiles;
using GenerativeML;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;

namespace AnomalyDetection;

/// <summary>What the detector says of a picture.</summary>
internal sealed class Judged
{
    public string Kind { get; set; } = "";

    public float Score { get; set; }

    public bool PredictedLabel { get; set; }

    [ImageType(Plates.Side, Plates.Side)] // as of a photograph
    public MLImage? Image { get; set; }

    [ImageType(Plates.Side, Plates.Side)]
    public MLImage? Map { get; set; }

    /// <summary>Leaves the pictures, which are not among the strangest.</summary>
    public void Forget()
    {
        Image?.Dispose();
        Map?.Dispose();
        (Image, Map) = (null, null);
    }
}

/// <summary>Finds strange pictures, and where they are: learns from sound ones alone, and draws maps of others.</summary>
internal static class Inspection
{
    private const int Shown = 8; // of each kind, on the sheet

    /// <summary>
    /// Trains on pictures of things, and judges others: of a folder with <c>train</c>, all of whose pictures are sound, and
    /// <c>test</c>, with a folder for each kind, of which <c>good</c> is sound, as MVTec's data sets are; or all of one folder.
    /// Null: plates that the sample draws.
    /// </summary>
    public static void Run(
        MLContext ml, string? folder, ImageShape shape, double contamination, int? epochs, int seed, string target)
    {
        (IDataView train, IDataView test) = folder is null
            ? (ml.Data.LoadFromEnumerable(Plates.Train(seed, 400)), ml.Data.LoadFromEnumerable(Plates.Test(seed, 120)))
            : (Load(ml, folder, "train"), Load(ml, folder, "test"));
        using VectorTransformer detector = Report.Training(progress => ml.AnomalyDetection.Trainers.ImageAutoencoder(new()
        {
            FeatureColumnName = "Image",
            ImageShape = shape,
            Resize = ImageResize.Stretch,
            Score = ImageScore.Structure, // whatever the light
            Epochs = epochs ?? 1, // structure is compared with stored pictures, and takes no long training
            Contamination = contamination,
            Seed = seed,
            AnomalyMapColumnName = "Map",
            NonFiniteValues = NonFiniteValues.DropRow, // files that are no pictures
            Progress = progress,
        }).Fit(train));

        Judged[] judged = Judge(detector.Transform(test));
        DetectionReport report = DetectionReport.Create(ml.Data.LoadFromEnumerable(judged), new()
        {
            LabelColumnName = judged.DistinctBy(row => row.Kind).Count() > 1 ? "Kind" : null,
            NormalLabels = [Plates.Sound, "ok", "sound", "normal"],
            Threshold = detector.Threshold,
        });
        Report.Figures(report);
        (string saved, string page, string sheet) =
            (Path.Combine(target, "detector.zip"), Path.Combine(target, "report.html"), Path.Combine(target, "maps.png"));
        ml.Model.Save(detector, inputSchema: null, saved); // a schema of images cannot be saved
        report.SaveHtml(page, folder is null ? "Strange plates" : $"Strange pictures of {Path.GetFileName(folder)}");
        SaveSheet(ml, judged, shape, sheet);
        Console.WriteLine($"model:   {saved}\npage:    {page}");
        Console.WriteLine($"maps:    {sheet}: of each kind a line of the strangest pictures, and where they are strange");
    }

    // Reads every row once. Copies of each kind's strangest pictures are kept: one that is read from a file lasts until the
    // next row is read.
    private static Judged[] Judge(IDataView scored)
    {
        string[] names =
        [
            nameof(Judged.Kind), nameof(Judged.Score), nameof(Judged.PredictedLabel), nameof(Judged.Image), nameof(Judged.Map),
        ];
        using DataViewRowCursor cursor = scored.GetRowCursor(names.Select(name => scored.Schema[name]));
        ValueGetter<ReadOnlyMemory<char>> kind = Getter<ReadOnlyMemory<char>>(nameof(Judged.Kind));
        ValueGetter<float> score = Getter<float>(nameof(Judged.Score));
        ValueGetter<bool> flag = Getter<bool>(nameof(Judged.PredictedLabel));
        ValueGetter<MLImage> image = Getter<MLImage>(nameof(Judged.Image)), map = Getter<MLImage>(nameof(Judged.Map));
        var judged = new List<Judged>();
        var shown = new Dictionary<string, PriorityQueue<Judged, float>>();
        ReadOnlyMemory<char> ofKind = default;
        (float value, bool isStrange, MLImage seen, MLImage where) = (0, false, null!, null!);
        while (cursor.MoveNext())
        {
            kind(ref ofKind);
            score(ref value);
            flag(ref isStrange);
            image(ref seen);
            map(ref where);
            var row = new Judged
            {
                Kind = $"{ofKind}", Score = value, PredictedLabel = isStrange, Image = Copy(seen), Map = Copy(where),
            };
            judged.Add(row);
            if (!shown.TryGetValue(row.Kind, out PriorityQueue<Judged, float>? strangest))
                shown[row.Kind] = strangest = new();
            strangest.Enqueue(row, row.Score);
            if (strangest.Count > Shown)
                strangest.Dequeue().Forget();
        }
        return [.. judged];

        ValueGetter<T> Getter<T>(string name) => cursor.GetGetter<T>(scored.Schema[name]);

        static MLImage Copy(MLImage image) =>
            MLImage.CreateFromPixels(image.Width, image.Height, image.PixelFormat, image.Pixels);
    }

    // For each kind a line of pictures and one of their maps, the strangest first.
    private static void SaveSheet(MLContext ml, Judged[] judged, ImageShape shape, string path)
    {
        Photograph[] cells =
        [
            .. from row in judged
               where row.Image is not null
               orderby row.Score descending
               group row by row.Kind into kind
               orderby kind.Key
               from cell in Line(kind.Select(row => row.Image)).Concat(Line(kind.Select(row => row.Map)))
               select cell,
        ];
        ml.Data.LoadFromEnumerable(cells).SaveGrid("Image", path, rows: cells.Length / Shown, columns: Shown, shape);

        // Of kinds with few pictures the last places are empty.
        static IEnumerable<Photograph> Line(IEnumerable<MLImage?> given) =>
            given.Concat(Enumerable.Repeat<MLImage?>(null, Shown)).Take(Shown).Select(image => new Photograph { Image = image });
    }

    private static IDataView Load(MLContext ml, string folder, string part)
    {
        if (!Directory.Exists(folder))
            throw new DirectoryNotFoundException($"There is no folder {folder}.");
        string at = Path.Combine(folder, part);
        bool isSplit = Directory.Exists(Path.Combine(folder, "train")) && Directory.Exists(Path.Combine(folder, "test"));
        string root = isSplit ? at : folder;
        var files = PictureFiles.In(root).Select(file => new
        {
            Path = Path.GetFullPath(file),
            Kind = isSplit ? Path.GetRelativePath(root, file).Split(Path.DirectorySeparatorChar)[..^1].FirstOrDefault() : Plates.Sound,
        }).ToArray();
        if (part == "test" && files.FirstOrDefault(file => file.Kind is null) is { } loose)
        {
            throw new InvalidDataException(
                $"{loose.Path} lies in no folder of its kind: {root} needs one for each, {Plates.Sound} for sound things.");
        }
        if (files.Length == 0)
            throw new InvalidDataException($"There are no pictures in {root}.");
        IDataView paths = ml.Data.LoadFromEnumerable(files);
        return ml.Transforms.LoadImages("Image", imageFolder: null, "Path").Fit(paths).Transform(paths);
    }
}
