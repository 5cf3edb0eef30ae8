#pragma once
// Internal to the broker: one HTTP request and its answer, and which secrets go with it.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sphere/audit/redactor.h"
#include "sphere/egress/flow.h"
#include "sphere/net/http_head.h"
#include "sphere/secret_value.h"

namespace sphere::egress {

inline constexpr std::size_t kBufferBytes = 256 * 1024;  ///< waiting on one side

struct Flow::Exchange {
    explicit Exchange(net::RequestHead request)
        : head(std::move(request)), body(head.framing), request_done(body.done()) {}

    net::RequestHead head;
    std::string path;
    net::BodyReader body;
    bool request_done = false;

    std::vector<const SecretValue*> secrets;  ///< set on this request
    std::optional<audit::Redactor::Mask> mask;
    std::optional<net::BodyReader> answer;  ///< once its head has gone to the program
    bool rechunk = false, keep_client = true, keep_up = true, answer_done = false;
};

/// The port of `target`'s host that `secret` goes to when the program asks for `target`: its own,
/// or 443 where the grant says so, which means TLS from here on. 0: the secret is not for it.
std::uint16_t secret_port(const SecretValue& secret, const Target& target);

}  // namespace sphere::egress
