extern alias LoadableClassStub;

using System.Diagnostics;
using System.Reflection;
using System.Runtime.CompilerServices;
using GenerativeML;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

// ML.NET finds loaders by an attribute that is internal to Microsoft.ML.Core. It is named here through an assembly that
// exists for the compiler only (build/loadable-class-stub); at run time the real one answers, which takes the access
// check off: without the first line the runtime drops the second in silence.
[assembly: IgnoresAccessChecksTo("Microsoft.ML.Core")]
[assembly: LoadableClassStub::Microsoft.ML.LoadableClass(
    typeof(ITransformer),
    typeof(ModelFile),
    null,
    typeof(LoadableClassStub::Microsoft.ML.SignatureLoadModel),
    "GenerativeML model",
    ModelFile.LoaderSignature)]

namespace System.Runtime.CompilerServices
{
    /// <summary>Lets this assembly use the internals of another; the runtime knows it by name.</summary>
    [AttributeUsage(AttributeTargets.Assembly, AllowMultiple = true)]
    internal sealed class IgnoresAccessChecksToAttribute(string assemblyName) : Attribute
    {
        public string AssemblyName { get; } = assemblyName;
    }
}

namespace GenerativeML
{
    /// <summary>Everything of ML.NET that this package needs and that is not public, in one place.</summary>
    internal static class MLNetInternals
    {
        private const BindingFlags Members = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;

        // Eight characters that name the kind of model, and the version of its format: that of our own files stands in
        // options.json, and this one never changes.
        private static readonly object s_header = NewVersionInfo(
            "GENMLNET", 0x00010001u, 0x00010001u, 0x00010001u, typeof(ModelFile).Assembly.FullName,
            ModelFile.LoaderSignature, null);

        /// <summary>Writes the header by which ML.NET finds the loader again.</summary>
        public static void WriteHeader(ModelSaveContext context) => Call(context, "SetVersionInfo", s_header);

        /// <summary>Checks that a saved model begins with that header.</summary>
        public static void CheckHeader(object loadContext) => Call(loadContext, "CheckAtModel", s_header);

        /// <summary>Writes a file of the given name into the model's folder of the zip.</summary>
        public static void WriteEntry(ModelSaveContext context, string name, Action<Stream> write) =>
            Call(context, "SaveBinaryStream", name, (Action<BinaryWriter>)(writer => write(writer.BaseStream)));

        /// <summary>Reads a file of the model's folder; the stream can seek and knows its length.</summary>
        public static void ReadEntry(object loadContext, string name, Action<Stream> read)
        {
            Action<BinaryReader> reader = r => read(r.BaseStream);
            if (!(bool)Call(loadContext, "TryLoadBinaryStream", name, reader)!)
                throw new FormatException($"The saved model has no file '{name}'.");
        }

        /// <summary>What is known of a schema, in the form in which estimators promise columns.</summary>
        public static SchemaShape ShapeOf(DataViewSchema schema) => CreateShape(null, schema);

        [UnsafeAccessor(UnsafeAccessorKind.StaticMethod, Name = "Create")]
        private static extern SchemaShape CreateShape(SchemaShape? type, DataViewSchema schema);

        /// <summary>The environment behind a catalog, which a catalog does not show.</summary>
        public static IHostEnvironment EnvironmentOf(object catalog)
        {
            ArgumentNullException.ThrowIfNull(catalog);
            return (IHostEnvironment?)Property(catalog, "IInternalCatalog", "Environment")
                ?? throw Missing("IInternalCatalog.Environment");
        }

        /// <summary>The value of <c>MLContext.FallbackToCpu</c>.</summary>
        public static bool FallbackToCpuOf(IHostEnvironment environment) =>
            (bool?)SettingOf(environment, "FallbackToCpu") ?? false;

        /// <summary>What an <c>MLContext</c> was made with, such as its seed.</summary>
        public static object? SettingOf(IHostEnvironment environment, string name) =>
            Property(environment, "IHostEnvironmentInternal", name);

        /// <summary>
        /// A view as a step that ML.NET's own conversion to ONNX sees: of an unknown view it would make inputs of the file,
        /// the model's columns among them, and say nothing.
        /// </summary>
        /// <param name="view">The view.</param>
        /// <param name="source">The view that it was made of.</param>
        /// <param name="save">Writes what the step does.</param>
        public static IDataView AsStep(IDataView view, IDataView source, Action<OnnxConversion> save)
        {
            Type? step = typeof(MLContext).Assembly.GetType("Microsoft.ML.Model.OnnxConverter.ITransformCanSaveOnnx");
            if (step is null)
                return view;
            object proxy = DispatchProxy.Create(step, typeof(OnnxStep));
            ((OnnxStep)proxy).Initialize(view, source, save);
            return (IDataView)proxy;
        }

        /// <summary>The view that a step of ML.NET was made of; null for one that is no step.</summary>
        public static IDataView? SourceOf(IDataView view) => (IDataView?)Property(view, "IDataTransform", "Source");

        /// <summary>Whether ML.NET's conversion to ONNX can write a step.</summary>
        public static bool CanConvert(IDataView step, object conversion) =>
            step.GetType().GetInterface("ITransformCanSaveOnnx") is not null
            && step.GetType().GetInterface("ICanSaveOnnx")!.GetMethod("CanSaveOnnx") is { } method
            && (bool)method.Invoke(step, BindingFlags.DoNotWrapExceptions, null, [conversion], null)!;

        /// <summary>Calls a method that is not public; null where there is none that takes these arguments.</summary>
        public static Func<object?>? Find(object target, string name, params object[] arguments) =>
            target.GetType().GetMethod(name, Members, [.. arguments.Select(a => a.GetType())]) is { } method
                ? () => method.Invoke(target, BindingFlags.DoNotWrapExceptions, null, arguments, null)
                : null;

        /// <summary>The value of a field that is not public; null where there is none.</summary>
        public static object? Field(object target, string name) => target.GetType().GetField(name, Members)?.GetValue(target);

        private static object NewVersionInfo(params object?[] arguments)
        {
            const string name = "Microsoft.ML.VersionInfo";
            Type[] types = [.. arguments.Select(a => a?.GetType() ?? typeof(string))];
            return typeof(ModelSaveContext).Assembly.GetType(name)?.GetConstructor(Members, types)?.Invoke(arguments)
                ?? throw Missing(name);
        }

        private static object? Property(object target, string interfaceName, string property) =>
            target.GetType().GetInterface(interfaceName)?.GetProperty(property)?.GetValue(target);

        // Exceptions travel as they are, not wrapped: FormatException stays FormatException.
        private static object? Call(object target, string name, params object[] arguments) =>
            (Find(target, name, arguments) ?? throw Missing($"{target.GetType().Name}.{name}"))();

        private static NotSupportedException Missing(string member)
        {
            AssemblyName core = typeof(ModelSaveContext).Assembly.GetName();
            return new($"{core.Name} {core.Version} has no {member}: this version of ML.NET is not supported.");
        }
    }

    /// <summary>What <see cref="MLNetInternals.AsStep"/> makes: the view, but for what is asked of steps.</summary>
    internal class OnnxStep : DispatchProxy
    {
        /// <summary>The method, and its class, with which ML.NET's conversion goes from step to step; a step has no other way to know.</summary>
        public const string ConvertingClass = "Microsoft.ML.Model.OnnxConverter.SaveOnnxCommand", ConvertingMethod = "GetPipe";

        private IDataView? _view, _source;
        private Action<OnnxConversion>? _save;
        private bool _asked;

        public void Initialize(IDataView view, IDataView source, Action<OnnxConversion> save) =>
            (_view, _source, _save) = (view, source, save);

        private static bool IsConversion(StackFrame frame) =>
            frame.GetMethod() is { Name: ConvertingMethod } method && method.DeclaringType?.FullName == ConvertingClass;

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
        {
            switch (targetMethod!.Name)
            {
                // Behind a step that it cannot write, ML.NET's conversion asks no other whether it can, and leaves all of them out: the
                // file would read what this one was to replace.
                case "get_Source":
                    if (!_asked && new StackTrace().GetFrames().Any(IsConversion))
                        throw OnnxConversion.Refusal("a step after it is none that ConvertToOnnx writes");
                    _asked = false;
                    return _source;
                // Of a step that says no, it says nothing either: who cannot be written says so when it is to be.
                case "CanSaveOnnx":
                    return _asked = true;
                case "SaveAsOnnx":
                    _save!(new(args![0]!, _source!));
                    return null;
                default:
                    return targetMethod.DeclaringType == typeof(IDataView)
                        ? targetMethod.Invoke(_view, BindingFlags.DoNotWrapExceptions, null, args, null)
                        : throw new NotSupportedException("A view of a model is not saved: ml.Model.Save saves the model.");
            }
        }
    }
}
