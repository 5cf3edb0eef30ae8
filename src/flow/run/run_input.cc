#include "flow/run/run_input.h"

#include <fmt/format.h>

#include "base/core/check.h"
#include "flow/run/migrate.h"
#include "flow/run/wire.h"

namespace flow {

using base::Code;
using base::Result;
namespace json = base::json;

namespace {

constexpr std::uint8_t kFormat = 1;

/// A child that the step began waits for no longer, because it was begun anew, is not heard.
Result<void> give_child(const RunInput& input, RunState& state, Machine& machine,
                        std::int64_t now_ms) {
    const auto ref = find_step(state, input.name);
    if (!ref || ref->state->name != input.by) return {};
    if (input.error) {
        machine.child_finished(input.name, std::unexpected(*input.error), now_ms);
    } else {
        machine.child_finished(input.name, input.payload, now_ms);
    }
    return {};
}

}  // namespace

std::uint32_t version_of(const RunInput& input) {
    const json::object* object = input.payload.if_object();
    const json::value* version = object != nullptr ? object->if_contains("version") : nullptr;
    if (version == nullptr || !version->is_number()) return 0;
    boost::system::error_code wrong;
    const auto out = version->to_number<std::uint32_t>(wrong);
    return wrong ? 0 : out;
}

Result<void> give(const RunInput& input, RunState& state, Machine& machine, std::int64_t now_ms,
                  std::shared_ptr<const Definition> to) {
    switch (input.kind) {
        case RunInput::Kind::signal:
            return machine.signal(input.name, input.payload, now_ms);
        case RunInput::Kind::answer:
            return machine.answer(input.name, input.payload, now_ms);
        case RunInput::Kind::pause:
            return machine.pause(input.name, input.by, now_ms);
        case RunInput::Kind::resume:
            return machine.resume(input.by, now_ms);
        case RunInput::Kind::cancel:
            return machine.cancel(input.name, now_ms);
        case RunInput::Kind::retry:
            return machine.retry(input.name, input.by, now_ms, input.payload);
        case RunInput::Kind::rewind:
            return machine.rewind(input.name, input.by, now_ms);
        case RunInput::Kind::child:
            return give_child(input, state, machine, now_ms);
        case RunInput::Kind::migrate: {
            DG_CHECK(to != nullptr);
            const json::object* object = input.payload.if_object();
            const json::value* rules = object != nullptr ? object->if_contains("rules") : nullptr;
            return machine.migrate(
                std::move(to),
                DG_TRY(migration_rules_from(rules != nullptr ? *rules : json::value())), input.by,
                now_ms);
        }
    }
    return base::fail(Code::unimplemented, "an input of kind {} is of a newer program",
                      static_cast<int>(input.kind));
}

Result<json::value> checked_input(const Definition& definition, const json::value& input) {
    json::value whole = input;
    if (const json::object* defaults = definition.input_defaults.if_object()) {
        if (whole.is_null()) whole = json::object();
        if (json::object* given = whole.if_object()) {
            for (const auto& [name, value] : *defaults) {
                if (!given->contains(name)) (*given)[name] = value;
            }
        }
    }
    if (definition.input_check) {
        if (auto fits = definition.input_check->check(whole); !fits) {
            base::Error error = std::move(fits).error();
            error.message = fmt::format("the input of workflow '{}' at '{}': {}", definition.name,
                                        error.subject, error.message);
            error.subject = "input" + error.subject;
            return std::unexpected(std::move(error));
        }
    }
    return whole;
}

std::string encode(const RunInput& input) {
    std::string out;
    WireWriter wire(out);
    wire.byte(kFormat);
    wire.byte(static_cast<std::uint8_t>(input.kind));
    wire.text(input.name);
    wire.text(json::serialize(input.payload));
    wire.text(input.by);
    wire.byte(input.error ? 1 : 0);
    if (input.error) {
        wire.byte(static_cast<std::uint8_t>(input.error->code));
        wire.text(input.error->message);
        wire.text(input.error->subject);
    }
    return out;
}

Result<RunInput> decode_input(std::string_view bytes) {
    WireReader wire(bytes);
    const std::uint8_t format = wire.byte();
    RunInput input;
    input.kind = static_cast<RunInput::Kind>(wire.byte());
    input.name = wire.text();
    boost::system::error_code wrong;
    input.payload = json::parse(wire.text(), wrong);
    input.by = wire.text();
    const std::uint8_t has_error = wire.byte();
    if (has_error > 1) wire.spoil();
    if (has_error == 1) {
        base::Error error;
        error.code = static_cast<Code>(wire.byte());
        error.message = wire.text();
        error.subject = wire.text();
        if (error.code > Code::internal) wire.spoil();
        input.error = std::move(error);
    }
    if (!wire.good() || wrong || format != kFormat || !wire.rest().empty()) {
        return base::fail(Code::data_loss, "an input in the inbox of a run does not read as one");
    }
    return input;
}

}  // namespace flow
