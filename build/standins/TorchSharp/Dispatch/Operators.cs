using System.Collections.Concurrent;
using static TorchSharp.torch;

namespace TorchSharp.Dispatch;

/// <summary>
/// ATen operators by name. A name is the schema's, without the namespace: <c>add.Tensor</c>, <c>exp</c>. Arguments
/// follow the schema; those left out take its defaults.
/// </summary>
internal static unsafe class Operators
{
    private static readonly ConcurrentDictionary<string, nint> s_found = new();
    private static readonly ConcurrentDictionary<string, bool> s_known = new();

    /// <summary>Calls an operator with one result.</summary>
    public static torch.Tensor Call(string name, params ReadOnlySpan<Argument> arguments)
    {
        NativeValue* results;
        int count;
        Invoke(name, arguments, &results, &count);
        return new torch.Tensor(results[0].Pointer);
    }

    /// <summary>Calls an operator with several results, or with a list of them.</summary>
    public static torch.Tensor[] CallMany(string name, params ReadOnlySpan<Argument> arguments)
    {
        NativeValue* results;
        int count;
        Invoke(name, arguments, &results, &count);
        var tensors = new torch.Tensor[count];
        for (int i = 0; i < count; i++)
            tensors[i] = new torch.Tensor(results[i].Pointer);
        return tensors;
    }

    /// <summary>Calls an operator with two results.</summary>
    public static (torch.Tensor, torch.Tensor) CallTwo(string name, params ReadOnlySpan<Argument> arguments) =>
        CallMany(name, arguments) is [var first, var second] ? (first, second) : throw new InvalidOperationException(name);

    /// <summary>Calls an operator that returns a number.</summary>
    public static IConvertible Number(string name, params ReadOnlySpan<Argument> arguments)
    {
        NativeValue* results;
        int count;
        Invoke(name, arguments, &results, &count);
        return results[0].Kind == ArgumentKind.Real ? results[0].Real : results[0].Integer;
    }

    /// <summary>Calls an operator that returns a Boolean.</summary>
    public static bool Ask(string name, params ReadOnlySpan<Argument> arguments) => Number(name, arguments).ToBoolean(null);

    /// <summary>Calls an in-place operator, and returns the very tensor that it was called on.</summary>
    public static torch.Tensor Mutate(string name, params ReadOnlySpan<Argument> arguments)
    {
        Invoke(name, arguments, null, null);
        return (torch.Tensor)arguments[0].Object!;
    }

    private static void Invoke(string name, ReadOnlySpan<Argument> arguments, NativeValue** results, int* count)
    {
        nint op = s_found.GetOrAdd(name, Find);
        int words = 0;
        foreach (Argument argument in arguments)
            words += Words(argument);

        NativeValue* values = stackalloc NativeValue[arguments.Length];
        // Lists live on the stack next to the arguments, long ones in an array.
        Span<long> lists = words <= 256 ? stackalloc long[words] : new long[words];
        fixed (long* start = lists)
        {
            long* next = start;
            for (int i = 0; i < arguments.Length; i++)
                values[i] = Marshal(arguments[i], ref next);
            Library.Check(Library.torch_call(op, values, arguments.Length, results, count));
        }
        foreach (Argument argument in arguments)
            GC.KeepAlive(argument.Object);
    }

    /// <summary>Whether this libtorch has an operator.</summary>
    public static bool Has(string name) => s_known.GetOrAdd(name, n => Library.torch_find("aten::" + n, "", out _) == 0);

    private static nint Find(string name)
    {
        int dot = name.IndexOf('.', StringComparison.Ordinal);
        string overload = dot < 0 ? "" : name[(dot + 1)..];
        Library.Check(Library.torch_find("aten::" + (dot < 0 ? name : name[..dot]), overload, out nint found));
        return found;
    }

    private static int Words(in Argument argument) => argument.Object switch
    {
        long[] integers => integers.Length,
        torch.Tensor[] tensors => tensors.Length,
        _ => 0,
    };

    private static NativeValue Marshal(in Argument argument, ref long* next)
    {
        var value = new NativeValue { Kind = argument.Kind, Integer = argument.Bits };
        switch (argument.Object)
        {
            case torch.Tensor tensor:
                value.Pointer = tensor.Handle;
                break;
            case Generator generator:
                value.Pointer = generator.Handle;
                break;
            case Device device:
                (value.Integer, value.Length) = ((long)device.type, device.index);
                break;
            case long[] integers:
                (value.Pointer, value.Length) = ((nint)next, integers.Length);
                integers.CopyTo(new Span<long>(next, integers.Length));
                next += integers.Length;
                break;
            case torch.Tensor?[] tensors:
                (value.Pointer, value.Length) = ((nint)next, tensors.Length);
                foreach (torch.Tensor? tensor in tensors)
                    *next++ = tensor is null ? 0 : tensor.Handle;
                break;
        }
        return value;
    }
}
