#pragma once
// A recorded run decided again: the same answers from outside go through the machine, and what it
// decides today is compared with what it decided then. No call is made.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "flow/run/history.h"
#include "flow/run/machine.h"

namespace flow {

/// One run in one document: what GET /v1/runs/{id}/export gives.
struct RunExport {
    base::json::value definition;  ///< the document it was read from
    base::json::value run;         ///< the run as it is shown
    std::vector<Event> events;     ///< all of them
};
inline constexpr std::string_view kExportFormat = "dougong-run-1";
base::json::object to_json(const RunExport& one);
/// The same as text, with events that are read a page at a time; `frame` has none.
base::Result<std::string> export_text(const RunExport& frame, const History& events);
/// Errors: invalid_argument, naming the place ("events[17].at_ms").
base::Result<RunExport> export_from_json(const base::json::value& json);

struct Replay {
    struct Difference {
        std::uint64_t place = 0;        ///< of the event, from 1
        std::optional<Event> recorded;  ///< none: more is decided today
        std::optional<Event> today;     ///< none: nothing is decided today
        std::string what;               ///< which field, or why
    };
    struct Request {
        std::string step;
        std::uint32_t attempt = 0;
        base::json::value request;
        bool operator==(const Request&) const = default;
    };
    std::uint64_t events = 0;              ///< that were decided as they are recorded
    std::optional<Difference> difference;  ///< the first one; nothing is compared after it
    std::vector<Request> requests;         ///< of calls, in order
};

/// `same`: it is the definition of the run; else moments that timeouts gave are not compared.
/// Errors: data_loss (events that are no run's).
base::Result<Replay> replay(RunId id, std::shared_ptr<const Definition> definition, bool same,
                            std::span<const Event> events);

}  // namespace flow
