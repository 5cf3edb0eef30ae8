#include "sphere/egress/link.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace sphere::egress {

using base::Code;
using base::fail;

void Link::FreeSsl::operator()(SSL* ssl) const {
    ::SSL_free(ssl);
}

base::Result<void> Link::use_tls(SSL_CTX* context, const std::string& host) {
    ssl_.reset(::SSL_new(context));
    if (ssl_ == nullptr || ::SSL_set_fd(ssl_.get(), fd()) != 1 ||
        ::SSL_set1_host(ssl_.get(), host.c_str()) != 1 ||
        // SSL_set_tlsext_host_name is a macro with a cast that our warnings refuse.
        ::SSL_ctrl(ssl_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                   const_cast<char*>(host.c_str())) != 1) {
        return fail(Code::internal, "no TLS for {}", host);
    }
    ::SSL_set_connect_state(ssl_.get());
    return {};
}

Ready Link::handshake() {
    if (ssl_ == nullptr) return Ready::yes;
    ::ERR_clear_error();
    const int result = ::SSL_do_handshake(ssl_.get());
    if (result == 1) return Ready::yes;
    const int error = ::SSL_get_error(ssl_.get(), result);
    wants_write_ = error == SSL_ERROR_WANT_WRITE;
    if (wants_write_ || error == SSL_ERROR_WANT_READ) return Ready::later;
    const long verified = ::SSL_get_verify_result(ssl_.get());
    failure_ = verified != X509_V_OK ? ::X509_verify_cert_error_string(verified)
                                     : "the TLS handshake failed";
    return Ready::failed;
}

ssize_t Link::ssl_outcome(int result) {
    if (result > 0) return result;
    switch (::SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_ZERO_RETURN:
            return 0;
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            errno = EAGAIN;
            return -1;
        default:
            errno = ECONNRESET;
            return -1;
    }
}

ssize_t Link::read(char* to, std::size_t bytes) {
    if (ssl_ != nullptr) {
        ::ERR_clear_error();
        const auto most = static_cast<int>(std::min<std::size_t>(bytes, INT_MAX));
        return ssl_outcome(::SSL_read(ssl_.get(), to, most));
    }
    return ::recv(fd(), to, bytes, MSG_DONTWAIT);
}

ssize_t Link::write(const char* from, std::size_t bytes) {
    if (ssl_ != nullptr) {
        ::ERR_clear_error();
        const auto most = static_cast<int>(std::min<std::size_t>(bytes, INT_MAX));
        return ssl_outcome(::SSL_write(ssl_.get(), from, most));
    }
    return ::send(fd(), from, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
}

ssize_t Link::peek() const {
    char one;
    return ::recv(fd(), &one, 1, MSG_PEEK | MSG_DONTWAIT);
}

void Link::end_writing() {
    if (ssl_ != nullptr) ::SSL_shutdown(ssl_.get());
    ::shutdown(fd(), SHUT_WR);
}

void Link::reset_on_close() {
    const linger now{1, 0};
    ::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

void Link::close() {
    ssl_.reset();
    socket_.reset();
}

}  // namespace sphere::egress
