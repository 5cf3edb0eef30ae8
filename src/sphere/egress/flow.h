#pragma once
// Internal to the broker: one TCP connection of a box, from accept to end. First it learns where
// the program wants to go (from the address it connected to, a proxy request or SOCKS); then it is
// a tunnel, whose first bytes are checked, or a series of HTTP requests, each of them checked.
//
// Three files: flow.cc (sides, target, connecting), flow_tunnel.cc, flow_http.cc.

#include <memory>
#include <optional>
#include <string>

#include "sphere/egress/core.h"
#include "sphere/egress/link.h"
#include "sphere/net/http_head.h"

namespace sphere::egress {

class Flow final : public Session {
public:
    /// `original`: the address that the program connected to.
    Flow(Core& core, Box& box, base::UniqueFd client, Listener::Kind kind,
         const net::Endpoint& original);
    ~Flow() override;

    /// Once it is among the core's sessions.
    void begin();
    void on_ready() override;
    void on_deadline() override;
    void on_cut(const std::string& why) override;
    void check_rules() override;

private:
    enum class Stage : std::uint8_t {
        proxy_idle,   // a request to the proxy is to come
        greeting,     // SOCKS
        request,      // SOCKS
        connecting,   // resolving, or not yet connected
        first_bytes,  // connected; what the program says first decides
        tunnel,
        http_idle,  // a request to one origin is to come
        http,       // a request is on its way, or its answer
        draining,   // all is said; the last bytes leave
    };
    struct Side {
        Link link;
        std::string in, out;  // read and not looked at; to be written
        std::uint32_t armed = 0;
        bool watched = false, ended = false, shut = false;
    };

    // flow.cc
    void pump();
    bool step();
    void arm();
    void arm_side(Side& side, bool read, bool write);
    bool read_more(Side& side);
    bool flush(Side& side);
    void drop(const std::string& why);
    void refuse(const std::string& why);
    bool read_greeting();
    bool read_socks();
    void begin_transparent();
    void open_tunnel(const Target& target);
    Refusal refuse_target(const Target& target) const;
    bool inspected() const { return !box_.rules.everything(); }
    bool may_be_http(const Target& target) const;
    void connect_to(const Target& target, bool tls);
    void on_resolved(const Resolved& found);
    void try_next();
    bool step_connecting();
    void on_connected();
    void on_unreachable(const std::string& why);
    void cut_over_budget();

    // flow_tunnel.cc
    bool step_first_bytes();
    bool speaks_first() const;
    bool check_hello();
    bool step_tunnel();
    bool relay(Side& from, Side& to, bool outwards);

    // flow_http.cc
    struct Exchange;
    bool step_request();
    void start_request(net::RequestHead head);
    std::optional<std::string> read_request_target(net::RequestHead& head, Target& target,
                                                   std::string& path) const;
    void send_request();
    void answer_http(int status, const std::string& text);
    bool step_exchange();
    bool move_request_body();
    bool move_response();
    bool read_response_head();
    void emit_response_head(const net::ResponseHead& head);
    void emit_body(std::string_view payload);
    void end_exchange();

    const Listener::Kind kind_;
    const net::Endpoint original_;
    Stage stage_ = Stage::connecting;
    Side client_, up_;
    std::optional<Target> target_;  ///< of the tunnel, or of every request
    std::optional<Attempt> attempt_;
    bool inspect_ = false;    ///< what is said in the tunnel must be about its target
    bool tunnelled_ = false;  ///< by CONNECT or SOCKS: the program waits for a word
    Target up_target_;        ///< where up_ goes or shall go
    bool up_tls_ = false, up_connected_ = false, up_ready_ = false;
    bool over_ = false;  ///< a byte came that bytes_max does not allow
    std::vector<net::Address> candidates_;
    std::unique_ptr<Exchange> exchange_;
};

}  // namespace sphere::egress
