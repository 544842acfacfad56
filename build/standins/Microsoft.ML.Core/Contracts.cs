namespace Microsoft.ML.Runtime;

public interface IExceptionContext
{
    string ContextDescription { get; }

    TException Process<TException>(TException ex)
        where TException : Exception;
}

/// <summary>The exception types that ML.NET uses, each after a fixed kind of failure.</summary>
internal static class Contracts
{
    private const string MarkKey = "ML_IsMarked";

    public static bool IsMarked(this Exception ex) => ex.Data.Contains(MarkKey);

    public static T Mark<T>(T ex)
        where T : Exception
    {
        ex.Data[MarkKey] = true;
        return ex;
    }

    public static Exception Except(this IExceptionContext context, string message)
        => Process(context, new InvalidOperationException(message));

    public static Exception Except(this IExceptionContext context, Exception inner, string message)
        => Process(context, new InvalidOperationException(message, inner));

    public static Exception ExceptParam(this IExceptionContext context, string name, string message)
        => Process(context, new ArgumentOutOfRangeException(name, message));

    public static Exception ExceptDecode(this IExceptionContext context, string message)
        => Process(context, new FormatException(message));

    public static Exception ExceptSchemaMismatch(this IExceptionContext context, string name, string role, string column)
        => context.ExceptParam(name, $"There is no column '{column}' to be the {role}");

    public static Exception ExceptSchemaMismatch(
        this IExceptionContext context, string name, string role, string column, string expected, string actual)
        => context.ExceptParam(name, $"The {role} column '{column}' is {actual} and should be {expected}");

    public static void Check(this IExceptionContext context, bool condition, string message)
    {
        if (!condition)
            throw context.Except(message);
    }

    public static void CheckParam(this IExceptionContext context, bool condition, string name, string message)
    {
        if (!condition)
            throw context.ExceptParam(name, message);
    }

    public static void CheckDecode(this IExceptionContext context, bool condition, string message)
    {
        if (!condition)
            throw context.ExceptDecode(message);
    }

    public static void CheckValue(this IExceptionContext context, object value, string name)
    {
        if (value is null)
            throw Process(context, new ArgumentNullException(name));
    }

    public static void CheckNonEmpty(this IExceptionContext context, string value, string name)
    {
        if (string.IsNullOrEmpty(value))
            throw Process(context, new ArgumentNullException(name));
    }

    private static T Process<T>(IExceptionContext context, T ex)
        where T : Exception
        => context is null ? Mark(ex) : context.Process(ex);
}
