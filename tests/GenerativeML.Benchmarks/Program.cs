using System.CommandLine;
using System.Globalization;
using GenerativeML.Benchmarks;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
RootCommand root = new("Measures GenerativeML: one command for each question.")
{
    AnomalyBenchmark.Command(),
    CalibrationBenchmark.Command(),
    MemoryBenchmark.Command(),
    MemoryMeasurement.Command(),
    ReadingBenchmark.Command(),
    HostileBenchmark.Command(),
    GptBenchmark.Command(),
    LstmBenchmark.Command(),
    BertBenchmark.Command(),
    LogBenchmark.Command(),
    DetectBenchmark.Command(),
    SequenceToSequenceBenchmark.Command(),
    DecodeBenchmark.Command(),
    VaeBenchmark.Command(),
    BoltzmannBenchmark.Command(),
    ImageBenchmark.Command(),
    CycleBenchmark.Command(),
    TileBenchmark.Command(),
    ManifoldBenchmark.Command(),
    TabularBenchmark.Command(),
    GenerateBenchmark.Command(),
    SketchBenchmark.Command(),
    SpiralBenchmark.Command(),
    CoconetBenchmark.Command(),
    NotesBenchmark.Command(),
    SoundBenchmark.Command(),
    PlaneBenchmark.Command(),
    FlowBenchmark.Command(),
    RingBenchmark.Command(),
    ImputeBenchmark.Command(),
    ExchangeBenchmark.Command(),
    FaultsBenchmark.Command(),
    SpeedBenchmark.Command(),
    ProbabilisticBenchmark.Command(),
    ServiceBenchmark.Command(),
    ServiceBenchmark.HostCommand(),
    SeriesBenchmark.Command(),
    MusicBenchmark.Command(),
    OnnxBenchmark.Command(),
};
return root.Parse(args).Invoke();
