#pragma once
// Hands the spans of runs to a sink (the OTLP exporter) as their events become durable. The
// runtime's thread only notes which run has something new; a thread of its own reads the log.
//
// A span is handed over once: what ended before this process began was the last one's to hand over.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/trace/trace.h"
#include "flow/flow.h"
#include "flow/observe/run_spans.h"

namespace flow {

class SpanExport {
public:
    /// All outlive it; the runtime does until halt(). Begins to listen.
    SpanExport(Runtime& runtime, RunLog& log, DefinitionSource& definitions,
               base::trace::SpanSink& sink);
    ~SpanExport();  ///< before the runtime's halt(); hands over what is known

    /// Runs whose spans were left out because too many had something new at once.
    std::uint64_t dropped() const;

private:
    struct Known {
        std::unique_ptr<RunSpans> spans;
        std::uint64_t next = 0;  ///< place of the next event to read
        std::uint64_t used = 0;
    };
    void run(const std::stop_token& stop);
    struct Range {
        std::uint64_t first = 0, end = 0;  ///< places of events that are new
    };
    void follow(RunId id, Range fresh);
    void evict();

    Runtime& runtime_;
    RunLog& log_;
    DefinitionSource& definitions_;
    base::trace::SpanSink& sink_;
    std::uint64_t watcher_ = 0;
    mutable std::mutex mutex_;  // guards fresh_ and dropped_
    std::condition_variable_any wake_;
    std::unordered_map<RunId, Range> fresh_;
    std::uint64_t dropped_ = 0;
    std::unordered_map<RunId, Known> known_;  ///< of the thread
    std::uint64_t use_ = 0;
    std::jthread thread_;
};

}  // namespace flow
