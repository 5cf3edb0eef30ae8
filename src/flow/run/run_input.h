#pragma once
// What people and other runs give a run, as a value: it goes to the engine that has the run, in
// memory or through the inbox of a shared log, and is the same either way.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "base/json/json.h"
#include "flow/run/machine.h"

namespace flow {

/// What the fields mean is beside each kind. Numbers are stored: add at the end.
struct RunInput {
    enum class Kind : std::uint8_t {
        signal = 1,   ///< name, payload
        answer = 2,   ///< name: the step; payload: {"decision", "answer", "by"}
        pause = 3,    ///< name: why; by
        resume = 4,   ///< by
        cancel = 5,   ///< name: why
        retry = 6,    ///< name: the step; payload: its input from now on, null: its own; by
        child = 7,    ///< a child run ended. name: the step; by: the child; payload, or error
        rewind = 8,   ///< name: the checkpoint; by
        migrate = 9,  ///< payload: {"version", "rules"}; by
    };
    Kind kind = Kind::signal;
    std::string name;
    base::json::value payload = {};
    std::string by = {};
    std::optional<base::Error> error = {};

    bool operator==(const RunInput&) const = default;
};

/// Gives it to a run. `to`: the definition that an input of kind migrate names.
/// Errors: the machine's.
base::Result<void> give(const RunInput& input, RunState& state, Machine& machine,
                        std::int64_t now_ms, std::shared_ptr<const Definition> to = nullptr);
/// The version that an input of kind migrate names; 0: the newest.
std::uint32_t version_of(const RunInput& input);

/// A run's input with the definition's defaults, when it is as the definition says.
/// Errors: invalid_argument (the subject is its JSON pointer).
base::Result<base::json::value> checked_input(const Definition& definition,
                                              const base::json::value& input);

std::string encode(const RunInput& input);
/// Errors: data_loss.
base::Result<RunInput> decode_input(std::string_view bytes);

}  // namespace flow
