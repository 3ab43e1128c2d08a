/// Which build this is.
public enum ConvergeVersion {
    public static let current = "0.2.0"
}
