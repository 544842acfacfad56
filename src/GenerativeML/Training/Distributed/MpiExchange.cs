using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace GenerativeML;

/// <summary>Processes that an MPI launcher started; they speak by the MPI library that is there.</summary>
internal sealed unsafe class MpiExchange : Exchange
{
    private const int DataTag = 1, FailureTag = 2, MaxReason = 1024, SpinsToCheck = 256, Serialized = 2;

    // Others get this processor for as long after so much waiting: they may have much to do.
    private const int BusyMilliseconds = 1000;

    // MPI_Finalize of MPICH 4.0 on UCX over TCP does not always return; where it does, it takes milliseconds.
    private const int FinalizeMilliseconds = 10_000;

    // The first process may have much to do after training; a launcher ends those whose first has died.
    private static readonly TimeSpan LongestAfterwards = TimeSpan.FromDays(1);

    private static readonly Lock s_gate = new();
    private static MpiExchange? s_world;
    private static string? s_notStarted; // why there is none

    private readonly MpiLibrary _mpi;
    private readonly byte* _failure = (byte*)NativeMemory.AllocZeroed(MaxReason); // while it is waited for, all the time
    private readonly bool _owns; // whether the program has not begun with MPI itself
    private int _rank, _size = 1;
    private bool _isFinishing; // at the end of the process, when all else stops
    private NativeBuffer _sending, _receiving;
    private nint _communicator, _failureRequest;
    private string? _ended; // why there is no more to be exchanged

    private MpiExchange(MpiLibrary mpi, int expected)
    {
        _mpi = mpi;
        int initialized, provided = Serialized;
        Check(mpi.Initialized(&initialized));
        _owns = initialized == 0;
        if (_owns)
            Check(mpi.InitThread(null, null, Serialized, &provided));
        try
        {
            Begin(expected, provided);
        }
        catch (InvalidOperationException)
        {
            EndMpi();
            throw;
        }
    }

    public override int Rank => _rank;

    public override int Size => _size;

    public override int ProcessesHere => Math.Max(1, DataPart.Here?.Count ?? 1);

    /// <summary>How long another process may be waited for.</summary>
    public TimeSpan Timeout { get; set; }

    /// <summary>The processes that this one was started with; null where it was started alone.</summary>
    /// <exception cref="InvalidOperationException">
    /// There is no MPI library, or one of another kind, or the other processes do not start.
    /// </exception>
    public static MpiExchange? Connect(TimeSpan timeout)
    {
        if (DataPart.Launched is not { Count: > 1 } started)
        {
            if (DataPart.LaunchedUnheard is string variable)
                throw new InvalidOperationException(
                    $"Option Distributed is set, and the environment variable {variable} says that several processes were started, but not by a "
                    + "launcher that is known here, so that each would train a model of its own. Start them by mpirun, or by srun --mpi=pmi2.");
            return null;
        }
        lock (s_gate)
        {
            s_world ??= Start(started, timeout);
            s_world.Timeout = timeout;
            return s_world;
        }
    }

    // MPI waits for all processes here, for ever: on a thread that can be left.
    private static MpiExchange Start(DataPart started, TimeSpan timeout)
    {
        if (s_notStarted is not null)
            throw new DistributedException(s_notStarted, isHeard: true);
        MpiLibrary library = MpiLibrary.Find();
        Task<MpiExchange> starting = Task.Factory.StartNew(
            () => new MpiExchange(library, started.Count), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        if (Task.WaitAny([starting], timeout) < 0)
        {
            s_notStarted = string.Create(CultureInfo.InvariantCulture,
                $"Process {started.Index} has waited {timeout.TotalSeconds:0.#} s for the other {started.Count - 1} to start: one of them has not called Fit, has ended, or cannot be reached.");
            throw new DistributedException(s_notStarted, isHeard: true);
        }
        try
        {
            MpiExchange world = starting.GetAwaiter().GetResult();
            RunningComputations.Enter().Dispose(); // who waits for computing threads at the end is asked to before this is
            if (world._owns)
                AppDomain.CurrentDomain.ProcessExit += (_, _) => world.Finish();
            return world;
        }
        catch (InvalidOperationException e)
        {
            s_notStarted = e.Message; // MPI starts once
            throw;
        }
    }

    private void Begin(int expected, int provided)
    {
        if (provided < Serialized)
            throw new InvalidOperationException($"The MPI library {_mpi.Path} lets none but its first thread call it: several threads must, in turns.");
        nint communicator = 0;
        int rank, size;
        Check(_mpi.CommDup(_mpi.World, &communicator)); // what the program itself sends stays apart
        _communicator = communicator;
        Check(_mpi.SetErrorHandler(communicator, _mpi.ErrorsReturn));
        Check(_mpi.CommRank(communicator, &rank));
        Check(_mpi.CommSize(communicator, &size));
        (_rank, _size) = (rank, size);
        if (size != expected)
        {
            throw new InvalidOperationException(
                $"The launcher started {expected} processes, and the MPI library {_mpi.Path} knows of {size}: it is of another "
                + "kind than the launcher. Start the program by the mpirun of this library, or name the launcher's in "
                + $"the environment variable {MpiLibrary.Variable}.");
        }
        ListenForFailure();
    }

    protected override void Fail(string reason)
    {
        if (_ended is not null)
            return;
        _ended = reason;
        byte[] message = Encoding.UTF8.GetBytes(reason);
        fixed (byte* bytes = message)
        {
            int length = Math.Min(message.Length, MaxReason - 1);
            nint* requests = stackalloc nint[Size];
            bool* isOver = stackalloc bool[Size];
            for (int other = 0; other < Size; other++)
            {
                requests[other] = 0;
                isOver[other] = other == Rank || _mpi.Send(bytes, length, _mpi.Byte, other, FailureTag, _communicator, &requests[other]) != 0;
            }
            // Those that are there take it at once, and those that are not never.
            long until = Environment.TickCount64 + 1000;
            for (int other = 0; other < Size; other++)
            {
                int done = isOver[other] ? 1 : 0;
                while (done == 0 && Environment.TickCount64 < until && _mpi.Test(&requests[other], &done, _mpi.IgnoreStatus) == 0)
                    Thread.Yield();
            }
        }
    }

    protected override void Transfer(ReadOnlySpan<byte> toNext, Span<byte> fromPrevious)
    {
        if (_ended is string before)
            throw new DistributedException($"Training on several processes has ended before: {before}", isHeard: true);
        // Memory of its own that is never given back: what has failed may be read and written at any time later.
        byte* sent = _sending.Of(toNext.Length), received = _receiving.Of(fromPrevious.Length);
        toNext.CopyTo(new Span<byte>(sent, toNext.Length));
        nint sending = 0, receiving = 0;
        int isSent = toNext.IsEmpty ? 1 : 0, isReceived = fromPrevious.IsEmpty ? 1 : 0;
        if (isReceived == 0)
            Lost(_mpi.Receive(received, fromPrevious.Length, _mpi.Byte, (Rank + Size - 1) % Size, DataTag, _communicator, &receiving));
        if (isSent == 0)
            Lost(_mpi.Send(sent, toNext.Length, _mpi.Byte, (Rank + 1) % Size, DataTag, _communicator, &sending));
        long begun = Environment.TickCount64, until = begun + (long)Timeout.TotalMilliseconds;
        for (int spins = 1; isSent == 0 || isReceived == 0; spins++)
        {
            if (isReceived == 0)
                Lost(_mpi.Test(&receiving, &isReceived, _mpi.IgnoreStatus));
            if (isSent == 0)
                Lost(_mpi.Test(&sending, &isSent, _mpi.IgnoreStatus));
            if (spins % SpinsToCheck != 0 || (isSent != 0 && isReceived != 0))
                continue;
            if (!_isFinishing)
                RunningComputations.StopIfExiting();
            if (HearFailure() is string failure)
                throw new DistributedException(failure, isHeard: true);
            long now = Environment.TickCount64;
            if (now > until)
            {
                int other = isReceived == 0 ? (Rank + Size - 1) % Size : (Rank + 1) % Size;
                throw new DistributedException(string.Create(CultureInfo.InvariantCulture,
                    $"Process {Rank} has waited {Timeout.TotalSeconds:0.#} s for process {other}, which says nothing: it hangs, has ended, cannot be reached, or waits for another itself."));
            }
            Thread.Yield(); // the one that is waited for may need this processor
            if (now - begun > BusyMilliseconds)
                Thread.Sleep(1);
        }
        new Span<byte>(received, fromPrevious.Length).CopyTo(fromPrevious);
    }

    private static void Check(int error)
    {
        if (error != 0)
            throw new InvalidOperationException($"MPI could not be started: its error is {error}.");
    }

    private static void Lost(int error)
    {
        if (error != 0)
            throw new DistributedException($"The connection to another process is lost: MPI's error is {error}.");
    }

    private void ListenForFailure()
    {
        nint request = 0;
        Lost(_mpi.Receive(_failure, MaxReason - 1, _mpi.Byte, _mpi.AnySource, FailureTag, _communicator, &request));
        _failureRequest = request;
    }

    private string? HearFailure()
    {
        int heard = 0;
        nint request = _failureRequest;
        int error = _mpi.Test(&request, &heard, _mpi.IgnoreStatus);
        _failureRequest = request;
        return error != 0 || heard == 0 ? null : _ended = Marshal.PtrToStringUTF8((nint)_failure) ?? "";
    }

    // After a failure the others may be gone, and it would wait for them.
    private void Finish()
    {
        _isFinishing = true;
        if (Environment.ExitCode != 0 || IsRunning)
            Fail($"Process {Rank} has ended {(IsRunning ? "while it trained, " : "")}with exit code {Environment.ExitCode}.");
        if (_ended is not null)
            return;
        try
        {
            Timeout = LongestAfterwards;
            Gather([]);
        }
        catch (DistributedException)
        {
            return;
        }
        nint request = _failureRequest;
        _mpi.Cancel(&request);
        _mpi.FreeRequest(&request);
        EndMpi();
    }

    private void EndMpi()
    {
        if (!_owns)
            return;
        var finalizing = new Thread(() => _mpi.Finalize()) { IsBackground = true };
        finalizing.Start();
        finalizing.Join(FinalizeMilliseconds);
    }
}

/// <summary>Native memory that grows as it is needed, and is never given back.</summary>
internal unsafe struct NativeBuffer
{
    private byte* _at;
    private int _length;

    /// <summary>So many bytes; what was there before is lost.</summary>
    public byte* Of(int length)
    {
        if (length > _length)
        {
            _at = (byte*)NativeMemory.Realloc(_at, (nuint)length);
            _length = length;
        }
        return _at;
    }
}

/// <summary>
/// The calls that are needed of an MPI library, bound to what is there: MPICH and those of its kind, whose handles are
/// numbers, or Open MPI, whose handles are addresses.
/// </summary>
internal sealed unsafe class MpiLibrary
{
    /// <summary>The environment variable that names the library's file.</summary>
    public const string Variable = "GENERATIVEML_MPI";

    private MpiLibrary(nint library, string path)
    {
        Path = path;
        InitThread = (delegate* unmanaged<int*, byte***, int, int*, int>)Export("MPI_Init_thread");
        Initialized = (delegate* unmanaged<int*, int>)Export("MPI_Initialized");
        Finalize = (delegate* unmanaged<int>)Export("MPI_Finalize");
        CommDup = (delegate* unmanaged<nint, nint*, int>)Export("MPI_Comm_dup");
        CommRank = (delegate* unmanaged<nint, int*, int>)Export("MPI_Comm_rank");
        CommSize = (delegate* unmanaged<nint, int*, int>)Export("MPI_Comm_size");
        SetErrorHandler = (delegate* unmanaged<nint, nint, int>)Export("MPI_Comm_set_errhandler");
        Send = (delegate* unmanaged<byte*, int, nint, int, int, nint, nint*, int>)Export("MPI_Isend");
        Receive = (delegate* unmanaged<byte*, int, nint, int, int, nint, nint*, int>)Export("MPI_Irecv");
        Test = (delegate* unmanaged<nint*, int*, nint, int>)Export("MPI_Test");
        Cancel = (delegate* unmanaged<nint*, int>)Export("MPI_Cancel");
        FreeRequest = (delegate* unmanaged<nint*, int>)Export("MPI_Request_free");
        bool isOpenMpi = NativeLibrary.TryGetExport(library, "ompi_mpi_comm_world", out nint world);
        World = isOpenMpi ? world : 0x44000000;
        Byte = isOpenMpi ? Export("ompi_mpi_byte") : 0x4c00010d;
        ErrorsReturn = isOpenMpi ? Export("ompi_mpi_errors_return") : 0x54000001;
        IgnoreStatus = isOpenMpi ? 0 : 1;
        AnySource = isOpenMpi ? -1 : -2;

        nint Export(string name) => NativeLibrary.TryGetExport(library, name, out nint address)
            ? address
            : throw new InvalidOperationException($"The library {path} is no MPI library that is known here: it has no '{name}'.");
    }

    /// <summary>The library's file.</summary>
    public string Path { get; }

    public nint World { get; }

    public nint Byte { get; }

    public nint ErrorsReturn { get; }

    public nint IgnoreStatus { get; }

    public int AnySource { get; }

    public delegate* unmanaged<int*, byte***, int, int*, int> InitThread { get; }

    public delegate* unmanaged<int*, int> Initialized { get; }

    public delegate* unmanaged<int> Finalize { get; }

    public delegate* unmanaged<nint, nint*, int> CommDup { get; }

    public delegate* unmanaged<nint, int*, int> CommRank { get; }

    public delegate* unmanaged<nint, int*, int> CommSize { get; }

    public delegate* unmanaged<nint, nint, int> SetErrorHandler { get; }

    public delegate* unmanaged<byte*, int, nint, int, int, nint, nint*, int> Send { get; }

    public delegate* unmanaged<byte*, int, nint, int, int, nint, nint*, int> Receive { get; }

    public delegate* unmanaged<nint*, int*, nint, int> Test { get; }

    public delegate* unmanaged<nint*, int> Cancel { get; }

    public delegate* unmanaged<nint*, int> FreeRequest { get; }

    /// <summary>The library of the launcher that started this process.</summary>
    /// <exception cref="InvalidOperationException">There is none; the message says what to install.</exception>
    public static MpiLibrary Find()
    {
        bool isOpenMpi = Environment.GetEnvironmentVariable("OMPI_COMM_WORLD_SIZE") is not null;
        string? named = Environment.GetEnvironmentVariable(Variable);
        string[] names = !string.IsNullOrEmpty(named) ? [named]
            : isOpenMpi ? ["libmpi.so.40", "libmpi.so", "libmpi.dylib"]
            : OperatingSystem.IsWindows() ? ["msmpi.dll"]
            : ["libmpich.so.12", "libmpi.so.12", "libmpich.so", "libmpi.12.dylib"];
        foreach (string name in names)
        {
            if (TryLoad(name, out nint library))
                return new MpiLibrary(library, name);
        }
        throw new InvalidOperationException(
            $"Training on several processes needs an MPI library; {string.Join(", ", names)} {(names.Length == 1 ? "is" : "are")} not there. "
            + (isOpenMpi ? "Install Open MPI (apt-get install libopenmpi3)" : "Install MPICH (apt-get install mpich, dnf install mpich)")
            + $", or name the file in the environment variable {Variable}.");
    }

    /// <summary>
    /// Loads a library, if it is there. UCX, by which MPICH sends, would handle SIGSEGV from then on, of which .NET makes null
    /// reference exceptions: the first one would end the process. So it is told not to, unless the user told it what to do.
    /// </summary>
    public static bool TryLoad(string name, out nint library)
    {
        if (!OperatingSystem.IsWindows())
            _ = TorchThreads.SetVariable("UCX_ERROR_SIGNALS", "", overwrite: 0);
        return NativeLibrary.TryLoad(name, out library);
    }
}
