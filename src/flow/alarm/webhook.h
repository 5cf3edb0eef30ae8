#pragma once
// What an alarm looks like on its way: the message, its signature, and when it is sent again. Pure.
//
// Headers and signature are those of the Standard Webhooks specification: `webhook-id` stays the
// same however often a message is sent, `webhook-timestamp` is the moment of the attempt, and
// `webhook-signature` is "v1," and the Base64 of HMAC-SHA256 over "ID.TIMESTAMP.BODY".

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/result.h"
#include "base/core/rng.h"
#include "flow/alarm/evaluate.h"

namespace flow {

/// What is posted. `told`: none for a test.
std::string alarm_message(const AlarmRule& rule, std::string_view workflow,
                          std::optional<AlarmTold> told, const AlarmState& state,
                          const AlarmReading& reading, std::int64_t now_ms);

/// The JSON Schema (draft 2020-12) of those messages.
base::json::object alarm_message_schema();

/// The id of a message to one webhook: the same one, whoever makes it and how often.
std::string delivery_id(const AlarmRule& rule, std::string_view workflow, const AlarmState& state,
                        AlarmTold told, std::string_view webhook);

using WebhookHeaders = std::vector<std::pair<std::string, std::string>>;
WebhookHeaders webhook_headers(const Webhook& to, std::string_view id, std::string_view body,
                               std::int64_t now_s);

/// What a receiver said.
struct WebhookAnswer {
    int status = 0;
    std::optional<std::chrono::seconds> retry_after = {};
    std::string words = {};  ///< the beginning of its body
};
/// Posts a body. Errors: nobody answered.
using WebhookPost = std::function<base::Result<WebhookAnswer>(
    const Webhook& to, const WebhookHeaders& headers, const std::string& body)>;

/// What becomes of a message after its attempt number `attempts` (from 1).
struct WebhookVerdict {
    enum class Kind : std::uint8_t { delivered, again, dead } kind = Kind::delivered;
    std::int64_t wait_ms = 0;  ///< until it is sent again
    std::string why = {};
};
/// 5 s, doubling up to an hour, half of it by chance; for three days. What the receiver asks for
/// counts, up to an hour. 410 says that it wants no more.
WebhookVerdict verdict_of(const base::Result<WebhookAnswer>& answer, std::uint32_t attempts,
                          std::int64_t age_ms, base::Rng& rng);

}  // namespace flow
