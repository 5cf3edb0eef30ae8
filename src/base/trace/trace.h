#pragma once
// W3C Trace Context and the spans we record. Source: https://www.w3.org/TR/trace-context/ level 1.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/core/result.h"
#include "base/core/rng.h"

namespace base::trace {

using TraceId = std::array<std::uint8_t, 16>;
using SpanId = std::array<std::uint8_t, 8>;

std::string to_hex(const TraceId& id);
std::string to_hex(const SpanId& id);

/// Where a request stands in a distributed trace.
struct Context {
    TraceId trace_id{};
    SpanId span_id{};  ///< the caller's span in what was received, ours in what we send
    bool sampled = true;
    std::string tracestate;  ///< vendors' list, passed on as it came when valid

    bool operator==(const Context&) const = default;
};

/// Errors: invalid_argument (length, version ff, upper case hex, an all-zero id). Higher versions
/// are read as version 00 with more fields, as the standard asks.
Result<Context> parse_traceparent(std::string_view header);
std::string format_traceparent(const Context& context);
/// At most 32 members of valid keys and values; a bad list is dropped as a whole.
bool valid_tracestate(std::string_view header);

/// A new trace, or a new span below `parent`. Ids come from `rng` and are never zero.
Context new_context(Rng& rng, const std::optional<Context>& parent);

using Attribute = std::pair<std::string, std::variant<std::string, std::int64_t, double, bool>>;

struct Span {
    TraceId trace_id{};
    SpanId span_id{};
    SpanId parent_id{};  ///< zero: root
    std::string name;
    bool server = false;  ///< kind SERVER, else INTERNAL
    std::int64_t start_unix_ns = 0;
    std::int64_t end_unix_ns = 0;
    bool failed = false;
    std::string tracestate;
    std::vector<Attribute> attributes;
};

/// Takes finished spans; must not block. Thread-safe.
class SpanSink {
public:
    virtual ~SpanSink() = default;
    virtual void record(Span span) = 0;
};

}  // namespace base::trace
