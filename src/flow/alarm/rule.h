#pragma once
// What is worth waking somebody for, as rules. A rule watches each workflow by itself: its alarm of
// one workflow fires and ends whatever happens in another.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/document/shape.h"
#include "base/json/json.h"

namespace flow {

struct AlarmRule {
    enum class What : std::uint8_t {
        failure_rate,  ///< too large a share of the runs that ended within `over` had failed
        stuck,        ///< a run made no progress for so long and waits for nothing that it may wait
                      ///< for, or nobody answered a person's step in time
        budget,       ///< a run, or a workflow's runs of a day, used too much
        quarantined,  ///< steps that process after process died of, within `over`
        disk_free,    ///< the folder's disk has less left
    };
    enum class Unit : std::uint8_t { tokens, cost_usd, seconds };

    std::string tenant = "default", name;
    std::string workflow;  ///< empty: each
    std::string note;      ///< for who is woken: what to do
    What what = What::failure_rate;
    /// The share; milliseconds without progress; tokens, US dollars or seconds; bytes.
    double limit = 0;
    Unit unit = Unit::tokens;           ///< of a budget
    bool per_day = false;               ///< of a budget: all runs of a workflow since midnight UTC
    std::int64_t over_ms = 0;           ///< how far back is looked
    std::uint64_t at_least = 1;         ///< runs that must have ended, or quarantined ones
    std::int64_t hold_ms = 0;           ///< for how long it must be so before the alarm fires
    std::int64_t clear_ms = 0;          ///< for how long it must not be so before the alarm ends
    std::int64_t repeat_ms = 0;         ///< told again while it fires and nobody took it; 0: never
    std::vector<std::string> webhooks;  ///< who is told; empty: all of them
    bool from_file = false;             ///< of the configuration: the API cannot remove it

    bool covers(std::string_view of_tenant, std::string_view of_workflow) const {
        return tenant == of_tenant && (workflow.empty() || workflow == of_workflow);
    }
    /// It looks at single runs, which are noted for it.
    bool notes_runs() const {
        return what != What::disk_free && !(what == What::budget && per_day);
    }
    bool operator==(const AlarmRule&) const = default;
};

/// Where alarms are told. Only the configuration names such places: no URL comes by the API, so no
/// caller can make the server send to an address of his choice.
struct Webhook {
    std::string name, url;
    std::string secret;  ///< key of the signatures, as bytes
};

/// A rule as JSON says it. `path` stands before the names of fields in errors.
/// Errors: invalid_argument.
base::Result<AlarmRule> read_alarm_rule(const base::json::object& rule, const std::string& path);
/// As read_alarm_rule reads it: all of it that is not the default.
base::json::object to_json(const AlarmRule& rule);

/// The file of flow.alarms: {webhooks, rules}; also its JSON Schema.
const base::Shape& alarm_file_shape();
base::json::object alarm_file_schema();

/// Gives the environment's value of a variable, or the text of a file, which are where secrets are.
using SecretSource =
    std::function<base::Result<std::string>(bool from_file, const std::string& name)>;
struct AlarmFile {
    std::vector<Webhook> webhooks;
    std::vector<AlarmRule> rules;
};
/// Errors: invalid_argument ("file:line:column: ..."), those of the source.
base::Result<AlarmFile> read_alarm_file(std::string_view text, const std::string& file,
                                        const SecretSource& secrets);

}  // namespace flow
