// Queries: allowed names get an address of the pool, all others are told that they do not exist. No
// query of a box leaves as it came.
#include <utility>

#include "sphere/egress/core.h"
#include "sphere/net/domain.h"

namespace sphere::egress {

void Core::look_up(Box& box, const DnsQuestion& question,
                   std::function<void(const std::string& answer)> reply) {
    const auto name = net::normal_host(question.name);
    const std::string shown = name ? *name : question.name;
    // Shared: a waiting look-up holds it, and std::function copies.
    const auto attempt = std::make_shared<Attempt>(*this, box, shown, "dns");
    const auto refuse = [&](const std::string& why, DnsCode code) {
        attempt->refuse(why);
        reply(dns_answer(question, code));
    };
    if (!name) return refuse("it is no host name", DnsCode::no_name);
    if (const Refusal why = box.rules.refuse_lookup(*name)) return refuse(*why, DnsCode::no_name);
    if (const Refusal why = attempt->admit()) return refuse(*why, DnsCode::refused);
    if (!question.asks_address()) {  // there is nothing else to know about a name here
        attempt->finish();
        return reply(dns_answer(question, DnsCode::ok));
    }
    Names::Entry* const entry = box.names.find_or_add(*name);
    if (entry == nullptr) return refuse("too many names were looked up", DnsCode::failure);
    const net::Address address = Names::address_of(*entry, question.type == DnsQuestion::kAaaa);
    resolve(box, *entry,
            [attempt, question, address, reply = std::move(reply)](const Resolved& found) {
                switch (found.state) {
                    case Resolved::State::found:
                        attempt->finish();
                        return reply(dns_answer(question, DnsCode::ok, address));
                    case Resolved::State::no_name:
                        attempt->finish();
                        return reply(dns_answer(question, DnsCode::no_name));
                    case Resolved::State::closed:
                        attempt->refuse(found.why);
                        return reply(dns_answer(question, DnsCode::no_name));
                    case Resolved::State::failed:
                        attempt->finish();
                        return reply(dns_answer(question, DnsCode::failure));
                }
            });
}

}  // namespace sphere::egress
