use operator_runtime::OperatorError;

#[derive(OperatorError)]
enum Refused {
    /// The provider answered with an error.
    HTTPError,
    /// The provider answered with another error.
    HttpError,
    #[operator(internal)]
    HttpErroR(std::io::Error),
    #[operator(internal)]
    HTTPErroR(std::io::Error),
}

fn main() {}
