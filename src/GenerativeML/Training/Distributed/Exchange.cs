using System.Diagnostics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>
/// The processes that train one model together, in a ring: each sends to the next and hears from the one before. All else
/// is made of that, so that what is added up is added in the same order on any network.
/// </summary>
internal abstract class Exchange
{
    // On one machine, pieces that stay in a processor's cache while they are sent, heard and added up; over a network each
    // message costs time of its own.
    private const int BytesOfPieceHere = 1 << 18;

    private float[] _received = [];
    private int _runs;

    /// <summary>The number of this process, from zero; the first logs, saves and writes checkpoints.</summary>
    public abstract int Rank { get; }

    /// <summary>The number of processes.</summary>
    public abstract int Size { get; }

    /// <summary>The number of processes on this machine, which share its processors.</summary>
    public virtual int ProcessesHere => 1;

    /// <summary>Time that this process has spent in exchanges: with sending, and with waiting for others.</summary>
    public TimeSpan Waited { get; private set; }

    /// <summary>Bytes that this process has sent to the next.</summary>
    public long BytesSent { get; private set; }

    /// <summary>Whether this process is the first.</summary>
    public bool IsFirst => Rank == 0;

    /// <summary>Whether there is a run.</summary>
    public bool IsRunning => _runs != 0;

    /// <summary>Begins a run. What two at once said would be taken for one another's.</summary>
    /// <exception cref="InvalidOperationException">There is a run on another thread.</exception>
    public void Enter()
    {
        if (Interlocked.Exchange(ref _runs, 1) != 0)
            throw new InvalidOperationException("Several processes train one model at a time, and another Fit with option Distributed is running in this one.");
    }

    /// <summary>Ends a run.</summary>
    public void Leave() => _runs = 0;

    /// <summary>Ends the run on all other processes after this one could not go on, unless that was said before.</summary>
    public void Fail(Exception error) =>
        Fail(error is DistributedException ? error.Message : $"Process {Rank} has failed: {error.Message}");

    /// <summary>
    /// Adds up the values of all processes, in place: the same bits on all. In a ring (Patarasuk and Yuan 2009): each part
    /// of the values goes round once to be added up and once more to be known, so that each process sends
    /// 2(n − 1)/n times their size.
    /// </summary>
    public void AllReduce(Span<float> values)
    {
        int length = values.Length;
        int[] ends = [.. Enumerable.Range(1, Size).Select(part => (int)((long)length * part / Size))];
        ReduceScatter(values, ends);
        AllGather(values, ends);
    }

    /// <summary>Which of the parts that values are divided into this process adds up, and knows.</summary>
    public int OwnPart => (Rank + 1) % Size;

    /// <summary>
    /// Adds up the values of all processes, each its own part of them, which ends where it is said; the others are of no use
    /// any more.
    /// </summary>
    public void ReduceScatter(Span<float> values, ReadOnlySpan<int> ends)
    {
        for (int s = 0; s < Size - 1; s++)
        {
            ReadOnlySpan<float> mine = Part(values, ends, Rank - s);
            Span<float> next = Part(values, ends, Rank - s - 1);
            int size = Math.Min(BytesOfPiece / sizeof(float), Math.Max(mine.Length, next.Length));
            if (_received.Length < size)
                _received = new float[size];
            for (; !mine.IsEmpty || !next.IsEmpty; mine = After(mine, size), next = After(next, size))
            {
                Span<float> piece = First(next, size), received = _received.AsSpan(0, piece.Length);
                Turn(MemoryMarshal.AsBytes(First(mine, size)), MemoryMarshal.AsBytes(received));
                TensorPrimitives.Add(received, piece, piece);
            }
        }
    }

    /// <summary>Gives all processes what each knows: its own part of the values.</summary>
    public void AllGather(Span<float> values, ReadOnlySpan<int> ends) => PassOn(values, ends, OwnPart);

    /// <summary>Gives all processes what each has: its part of the bytes, which ends where it is said.</summary>
    public void AllGatherByRank(Span<byte> bytes, ReadOnlySpan<int> ends) => PassOn(bytes, ends, Rank);

    /// <summary>Gives all processes what the first one has.</summary>
    public void Broadcast(Span<byte> bytes)
    {
        if (!IsFirst)
            Turn([], bytes);
        if (Rank < Size - 1)
            Turn(bytes, []);
    }

    /// <summary>What each process says, in their order.</summary>
    public byte[][] Gather(byte[] own)
    {
        var all = new byte[Size][];
        all[Rank] = own;
        for (int s = 0; s < Size - 1; s++)
        {
            byte[] sent = all[(Rank - s + Size) % Size], length = new byte[sizeof(int)];
            Turn(BitConverter.GetBytes(sent.Length), length);
            byte[] received = new byte[BitConverter.ToInt32(length)];
            Turn(sent, received);
            all[(Rank - s - 1 + Size) % Size] = received;
        }
        return all;
    }

    /// <summary>Adds up the numbers of all processes, in their order: the same bits on all.</summary>
    public double[] AllReduce(double[] own)
    {
        double[] sums = new double[own.Length];
        foreach (byte[] said in Gather(MemoryMarshal.AsBytes(own.AsSpan()).ToArray()))
            TensorPrimitives.Add(sums, MemoryMarshal.Cast<byte, double>(said), sums);
        return sums;
    }

    /// <summary>Says to all other processes why this one cannot go on; later exchanges fail.</summary>
    protected abstract void Fail(string reason);

    /// <summary>Sends bytes to the next process while those of the one before come in; either may be none.</summary>
    /// <exception cref="DistributedException">A process has failed, or is not heard of.</exception>
    protected abstract void Transfer(ReadOnlySpan<byte> toNext, Span<byte> fromPrevious);

    // Each part goes round once, from the process that knows it.
    private void PassOn<T>(Span<T> values, ReadOnlySpan<int> ends, int known)
        where T : unmanaged
    {
        for (int s = 0; s < Size - 1; s++)
        {
            ReadOnlySpan<byte> mine = MemoryMarshal.AsBytes(Part(values, ends, known - s));
            Span<byte> next = MemoryMarshal.AsBytes(Part(values, ends, known - s - 1));
            for (int size = BytesOfPiece; !mine.IsEmpty || !next.IsEmpty; mine = After(mine, size), next = After(next, size))
                Turn(First(mine, size), First(next, size));
        }
    }

    private int BytesOfPiece => ProcessesHere == Size ? BytesOfPieceHere : int.MaxValue;

    private static ReadOnlySpan<T> First<T>(ReadOnlySpan<T> values, int count) => values[..Math.Min(count, values.Length)];

    private static Span<T> First<T>(Span<T> values, int count) => values[..Math.Min(count, values.Length)];

    private static ReadOnlySpan<T> After<T>(ReadOnlySpan<T> values, int count) => values[Math.Min(count, values.Length)..];

    private static Span<T> After<T>(Span<T> values, int count) => values[Math.Min(count, values.Length)..];

    private static Span<T> Part<T>(Span<T> values, ReadOnlySpan<int> ends, int number)
    {
        number = ((number % ends.Length) + ends.Length) % ends.Length;
        return values[(number == 0 ? 0 : ends[number - 1])..ends[number]];
    }

    private void Turn(ReadOnlySpan<byte> toNext, Span<byte> fromPrevious)
    {
        long begun = Stopwatch.GetTimestamp();
        Transfer(toNext, fromPrevious);
        Waited += Stopwatch.GetElapsedTime(begun);
        BytesSent += toNext.Length;
    }
}

/// <summary>The processes that trained together cannot go on.</summary>
internal sealed class DistributedException(string message, bool isHeard = false) : InvalidOperationException(message)
{
    /// <summary>Whether another process said so, which told all others, too.</summary>
    public bool IsHeard => isHeard;

    /// <summary>Whether the other processes cannot know of an error yet.</summary>
    public static bool IsOwn(Exception error) => error is not (DistributedException { IsHeard: true } or CancelledTogetherException);
}

/// <summary>All processes stop since one of them was cancelled.</summary>
internal sealed class CancelledTogetherException(CancellationToken token)
    : OperationCanceledException("Training on several processes was cancelled.", token);
