using System.Runtime.ExceptionServices;

namespace GenerativeML;

/// <summary>
/// Batches on their way through a model: filled and taken by one thread, in order, and computed in between by whichever
/// thread is free, the one that takes them included.
/// </summary>
/// <remarks>
/// At first a batch is computed when it is asked for, and later ones ever further ahead, so that who reads a few rows
/// does not make the model compute many.
/// </remarks>
internal sealed class BatchQueue : IThreadPoolWorkItem, IDisposable
{
    private readonly Action<int, int> _compute;
    private readonly Place[] _places;
    private readonly int _mostHelpers;
    private long _filled, _claimed, _taken; // batches so far
    private int _limit = 1, _helpers;

    /// <param name="places">How many batches there may be at once.</param>
    /// <param name="compute">Computes so many rows of the batch in a place; called on any thread.</param>
    public BatchQueue(int places, Action<int, int> compute)
    {
        _compute = compute;
        _places = [.. Enumerable.Range(0, places).Select(_ => new Place())];
        _mostHelpers = Math.Min(places, Environment.ProcessorCount) - 1;
    }

    /// <summary>The place to fill next; null where as many batches are under way as should be.</summary>
    public int? FreePlace => _filled - _taken < _limit ? (int)(_filled % _places.Length) : null;

    /// <summary>Says that the free place holds so many rows, or why it does not.</summary>
    public void Add(int rows, ExceptionDispatchInfo? error = null)
    {
        _places[_filled % _places.Length].Fill(rows, error);
        Volatile.Write(ref _filled, _filled + 1);
        if (_limit > 1 && Volatile.Read(ref _helpers) < _mostHelpers)
        {
            Interlocked.Increment(ref _helpers);
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
    }

    /// <summary>
    /// Gives the first batch that was not taken yet when it is computed; what had been taken before is free again. What
    /// went wrong in reading or computing it is thrown here, and then it counts as taken.
    /// </summary>
    /// <returns>Its place and rows; null where there is none.</returns>
    public (int Place, int Rows)? Take()
    {
        if (_taken == _filled)
            return null;
        int index = (int)(_taken % _places.Length);
        Place place = _places[index];
        while (!place.IsComputed && TryComputeOne())
        {
        }
        place.Wait();
        _taken++;
        _limit = Math.Min(2 * _limit, _places.Length);
        place.Error?.Throw();
        return (index, place.Rows);
    }

    /// <summary>Returns when no thread computes a batch any more; the others are not computed.</summary>
    public void Dispose()
    {
        long claimed = Interlocked.Exchange(ref _claimed, long.MaxValue);
        for (long i = _taken; i < claimed && claimed != long.MaxValue; i++)
            _places[i % _places.Length].Wait();
    }

    /// <summary>What a thread that helps does.</summary>
    void IThreadPoolWorkItem.Execute()
    {
        while (TryComputeOne())
        {
        }
        Interlocked.Decrement(ref _helpers);
    }

    private bool TryComputeOne()
    {
        long next;
        do
        {
            next = Volatile.Read(ref _claimed);
            if (next >= Volatile.Read(ref _filled))
                return false;
        }
        while (Interlocked.CompareExchange(ref _claimed, next + 1, next) != next);
        int index = (int)(next % _places.Length);
        _places[index].Compute(index, _compute);
        return true;
    }

    /// <summary>Room for a batch.</summary>
    private sealed class Place
    {
        private volatile bool _isComputed;

        public int Rows { get; private set; }

        public ExceptionDispatchInfo? Error { get; private set; }

        public bool IsComputed => _isComputed;

        public void Fill(int rows, ExceptionDispatchInfo? error)
        {
            (Rows, Error) = (rows, error);
            _isComputed = false;
        }

        public void Compute(int index, Action<int, int> compute)
        {
            try
            {
                if (Error is null)
                    compute(index, Rows);
            }
            catch (Exception e)
            {
                Error = ExceptionDispatchInfo.Capture(e);
            }
            lock (this)
            {
                _isComputed = true;
                Monitor.PulseAll(this);
            }
        }

        public void Wait()
        {
            var spin = new SpinWait();
            while (!_isComputed && !spin.NextSpinWillYield)
                spin.SpinOnce();
            lock (this)
            {
                while (!_isComputed)
                    Monitor.Wait(this);
            }
        }
    }
}
