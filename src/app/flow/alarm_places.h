#pragma once
// What alarms need of this machine: their file, its secrets, the way out to webhooks.

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "app/command.h"
#include "flow/alarm/webhook.h"

namespace app {

/// The file of flow.alarms; nothing without one. `secrets`: also the keys, which only who sends
/// needs. Errors: invalid_argument, with the place.
base::Result<flow::AlarmFile> load_alarm_file(const Program& program, bool secrets);

/// One request, no redirect, ten seconds, little of the answer. `stopping` outlives it and ends it.
flow::WebhookPost webhook_post(const std::atomic<bool>& stopping);

std::function<std::optional<std::uint64_t>()> free_bytes_of(std::string dir);

}  // namespace app
